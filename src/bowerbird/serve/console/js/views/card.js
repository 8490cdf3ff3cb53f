// One recommended item: what it is, how it scored, how likely each action is, and buttons that do the actions.
import { act, canAct, nameOf } from "../act.js";
import { isUnwanted, tile, tint } from "../art.js";
import { chance, el } from "../dom.js";
import { set, state } from "../state.js";

/** Highest probability of each action in an answer: what a full bar stands for. */
export function tops(items) {
  const found = {};
  for (const { probabilities } of items) for (const [name, p] of Object.entries(probabilities ?? {})) found[name] = Math.max(found[name] ?? 0, p);
  return found;
}

/** The entry of a list. `share` is how full the bar of the score is, `moved` what became of its rank, `most` from `tops`. */
export function entry(recommendation, { share, moved, most, failed }) {
  const { item, why, score, rank, probabilities = {} } = recommendation;
  const body = el("button", { type: "button", class: "card", "data-item": item.id, title: "Why it is here, and what is like it", "aria-pressed": String(String(item.id) === String(state.open)), onclick: () => set({ open: item.id }) },
    tile(item),
    el("h3", {}, item.title),
    el("span", { class: "genres" }, [year(item), ...item.categories].filter(Boolean).join(" · ") || "\u00a0"),
    el("span", { class: "score", title: `score ${score}` }, el("span", { class: "hidden" }, "score "), el("span", { class: "bar" }, el("i", { width: `${share * 100}%` })), el("span", { class: "number" }, score.toFixed(3))),
    el("span", { class: "rank number" }, String(rank), moved),
    el("span", { class: "why" }, el("span", { class: "dot" }), reason(why)));
  const row = acts(item, probabilities, most, failed);
  return el("li", { class: moved?.classList.contains("new") ? "entry fresh" : "entry", tint: tint(why.outcome, state.about.outcomes) }, body, row);
}

/** A row with every action: how likely it is, and a button to do it where that is possible. Null where there is nothing to say. */
export function acts(item, probabilities, most, failed) {
  const active = canAct();
  const names = state.about.actions.filter((name) => active || name in probabilities);
  if (!names.length) return null;
  return el("div", { class: "acts", role: "group", "aria-label": `Actions on ${item.title}` },
    ...names.map((name) => one(item, name, probabilities[name], most[name], active, failed)));
}

function one(item, name, p, top, active, failed) {
  const said = p === undefined ? "" : `, ${chance(p)} likely`;
  const sign = isUnwanted(name) ? el("span", { class: "sign", "aria-hidden": "true" }, "−") : null;
  const parts = [
    el("span", { class: "act-name" }, sign, name),
    p === undefined ? null : el("span", { class: "number" }, chance(p)),
    p === undefined ? null : el("span", { class: "bar", "aria-hidden": "true" }, el("i", { width: `${(100 * p) / Math.max(top ?? p, 1e-12)}%` })),
  ];
  const look = { class: isUnwanted(name) ? "act unwanted" : "act", tint: tint(name, state.about.outcomes), "data-action": name };
  if (!active) return el("span", { ...look, title: `${name}${said}; a full bar is the likeliest of this answer` }, ...parts);
  const button = el("button", { ...look, type: "button", "aria-label": nameOf(name, item) + said, title: `${nameOf(name, item)}${said}; a full bar is the likeliest of this answer`, onclick: async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true"); // it keeps the cursor, unlike a disabled one
    try {
      await act(item, name);
    } catch (error) {
      failed(error);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  } }, ...parts);
  return button;
}

const year = (item) => Object.entries(item.facts).find(([name]) => /^year$/i.test(name))?.[1];

const RANKED = { actions: "ranked by worth", retrieval: "ranked by nearness", content: "ranked by likeness", popularity: "ranked by popularity" };

function reason(why) {
  if (why.stage === "popularity") return el("span", { class: "ellipsis" }, "recently popular");
  if (why.stage === "content") return el("span", { class: "ellipsis" }, "alike by category");
  const parts = ["found for ", el("b", {}, why.outcome === "any" ? "any outcome" : why.outcome)];
  if (why.step !== null) parts.push(` · step ${why.step}`);
  if (why.offset !== null && why.offset !== "next") parts.push(` · ${why.offset}`);
  if (RANKED[why.ranked]) parts.push(` · ${RANKED[why.ranked]}`);
  return el("span", { class: "ellipsis", title: parts.map((part) => part.textContent ?? part).join("") }, ...parts);
}
