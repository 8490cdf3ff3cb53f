// The history: a stored one as a timeline, or the one being built with what was done to each item.
import * as api from "../api.js";
import { tile, tint } from "../art.js";
import { asDay, asMonth, byId, count, el } from "../dom.js";
import { on, set, state } from "../state.js";
import { describe } from "./who.js";

const place = byId("history");
const FIRST = 60;
let timeline = null;

export function start() {
  on(["user", "mode"], () => load(FIRST));
  on("posted", () => load(Math.max(FIRST, timeline?.events.length ?? 0)));
  on("built", () => state.mode === "build" && showBuilt());
}

/** Loads and shows the history; resolves when it is on the page. */
export async function load(limit = FIRST) {
  if (state.mode === "build") return showBuilt();
  if (state.user === null) return void place.replaceChildren();
  const asked = state.user;
  try {
    const answer = await api.history(asked, limit);
    if (state.user !== asked || state.mode !== "user") return;
    timeline = answer;
    set({ timeline });
    describe(timeline);
    showTimeline();
  } catch (error) {
    timeline = null;
    set({ timeline });
    place.replaceChildren(head("History"), el("p", { class: "empty" }, error.message));
  }
}

/** Turns what the user did into a history that can be edited, newest 20 positive events, with `extra` at the end. */
export function copyToBuilt(extra = []) {
  const liked = (timeline?.events ?? []).filter((event) => event.positive).slice(0, 20).reverse();
  const built = liked.map((event) => ({ item: event.item, action: event.actions.find((name) => state.about.actions.includes(name)) ?? null }));
  const added = extra.map((item) => ({ item, action: null }));
  set({ built: [...built.filter(({ item }) => !extra.some((one) => one.id === item.id)), ...added], mode: "build" });
}

function head(text, ...more) {
  return el("div", { class: "panel-head" }, el("h2", {}, text), ...more);
}

function showTimeline() {
  const nodes = [head("History", el("button", { class: "quiet-button", type: "button", onclick: () => copyToBuilt(), title: "Change this history and see what follows" }, "Edit a copy"))];
  let month = "";
  for (const event of timeline.events) {
    if (asMonth(event.time) !== month) nodes.push(el("h3", { class: "month" }, (month = asMonth(event.time))));
    const posted = state.posted?.user === state.user && state.posted.time === event.time && state.posted.item.id === event.item.id;
    nodes.push(el("button", { type: "button", class: `row${event.positive ? "" : " dim"}${posted ? " fresh" : ""}`, onclick: () => set({ open: event.item.id }) },
      tile(event.item, 34),
      el("span", { class: "grow" }, el("span", { class: "title" }, event.item.title),
        el("span", { class: "actions" }, ...event.actions.map((name) => el("span", { class: "tag on", tint: tint(name, state.about.outcomes) }, name)),
          event.actions.length ? null : el("span", { class: "tag" }, "seen"), el("span", { class: "muted small" }, posted ? "just now" : asDay(event.time))))));
  }
  if (!timeline.events.length) nodes.push(el("p", { class: "empty" }, "No events yet."));
  if (timeline.total > timeline.events.length) {
    const more = Math.min(1000, timeline.events.length + 200);
    if (more > timeline.events.length) nodes.push(el("button", { class: "quiet-button", type: "button", onclick: () => load(more) }, `Show more of ${count(timeline.total)}`));
  }
  place.replaceChildren(...nodes);
}

function showBuilt() {
  const change = (at, part) => set({ built: state.built.map((entry, i) => (i === at ? { ...entry, ...part } : entry)) });
  const rows = state.built.map(({ item, action }, at) => el("div", { class: "row" },
    tile(item, 34),
    el("span", { class: "grow" }, el("span", { class: "title" }, item.title)),
    el("select", { "aria-label": `What was done with ${item.title}`, onchange: (event) => change(at, { action: event.target.value || null }) },
      el("option", { value: "" }, "liked"), ...state.about.actions.map((name) => el("option", { value: name, selected: name === action }, name))),
    el("button", { class: "icon-button", type: "button", "aria-label": `Remove ${item.title}`, onclick: () => set({ built: state.built.filter((_, i) => i !== at) }) }, "×")));
  place.replaceChildren(
    head("Your history", state.built.length ? el("button", { class: "quiet-button", type: "button", onclick: () => set({ built: [] }) }, "Clear") : null),
    ...rows.reverse(),
    ...(rows.length ? [] : [el("p", { class: "empty" }, "Nothing chosen yet. Search above, or open any item and add it.")]));
}
