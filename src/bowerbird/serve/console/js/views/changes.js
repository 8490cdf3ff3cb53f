// What is different from the answer before: new, moved and gone, in words and not by colour alone.
import { asMs, byId, el, plural } from "../dom.js";
import { set } from "../state.js";

const MOST_NAMED = 6;

/** Compares answers. `before`: Map of id to {rank, item}; `items`: those of the answer. */
export function compare(before, items) {
  const now = new Set(items.map(({ item }) => item.id));
  return {
    fresh: items.filter(({ item }) => !before.has(item.id)).length,
    moved: items.filter(({ item, rank }) => before.has(item.id) && before.get(item.id).rank !== rank).length,
    gone: [...before.values()].filter(({ item }) => !now.has(item.id)).sort((a, b) => a.rank - b.rank),
  };
}

/** The mark on a card: how far it has moved; null where it has not. */
export function mark(was, rank) {
  if (was === undefined) return el("span", { class: "move new" }, "new");
  if (was === rank) return null;
  const up = rank < was;
  const label = `${up ? "up" : "down"} ${Math.abs(was - rank)}`;
  return el("span", { class: `move ${up ? "up" : "down"}`, role: "img", "aria-label": label }, `${up ? "▲" : "▼"} ${Math.abs(was - rank)}`);
}

/** A line that tells the change, and says it to those who listen. `event`: the posted event that caused it, or null. */
export function line({ fresh, moved, gone }, event, waited) {
  const counts = [fresh && `${fresh} new`, moved && `${moved} moved`, gone.length && `${gone.length} gone`].filter(Boolean);
  const text = counts.length ? counts.join(", ") : "nothing changed";
  byId("spoken").textContent = `${event ? `Recorded ${event.action} on ${event.item.title}. ` : ""}${text[0].toUpperCase()}${text.slice(1)}.`;
  if (!event && !counts.length) return null;
  const named = gone.slice(0, MOST_NAMED).map(({ item, rank }) =>
    el("button", { class: "gone", type: "button", title: `It was at ${rank}. Look at it`, onclick: () => set({ open: item.id }) }, el("s", {}, item.title), ` was ${rank}`));
  return el("div", { class: event ? "changes event" : "changes" },
    event ? el("span", {}, el("strong", {}, `Recorded ${event.action} on ${event.item.title}`), ` · the next answer came ${asMs(waited)} after the press`) : null,
    el("span", { class: "counts" }, event ? `${text} since` : `${text} since the last answer`),
    gone.length ? el("span", { class: "gone-list" }, el("span", { class: "muted" }, "gone: "), ...named, gone.length > MOST_NAMED ? el("span", { class: "muted" }, `and ${plural(gone.length - MOST_NAMED, "other")}`) : null) : null);
}
