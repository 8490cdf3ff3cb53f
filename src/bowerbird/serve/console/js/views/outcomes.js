// Outcome sliders and category chips: what to look for, and what may be shown.
import { tint } from "../art.js";
import { byId, count, el, percent, plural } from "../dom.js";
import { on, set, state, usualWeights } from "../state.js";

const place = byId("outcomes");
const CHIPS = 14;
const sliders = new Map();

export function start() {
  const { outcomes } = state.about;
  const rows = outcomes.map((outcome) => {
    const input = el("input", { type: "range", min: 0, max: 100, step: 5, "aria-label": `Weight of ${outcome.name}`, oninput: () => weigh(outcome.name, +input.value) });
    const output = el("output", { class: "number" });
    const items = el("span", { class: "found number" });
    const about = outcome.name === "any" ? "nothing in particular" : `${count(outcome.events)} events`;
    const name = el("button", { class: "name", type: "button", title: `Only ${outcome.name} (${about})`, onclick: () => only(outcome.name) }, outcome.name);
    const row = el("div", { class: "slider", tint: tint(outcome.name, outcomes) }, el("span", { class: "dot" }), name, items, output, input);
    sliders.set(outcome.name, { row, input, output, items });
    return row;
  });
  const reset = el("button", { class: "quiet-button", type: "button", "aria-label": "Reset outcomes and filters", onclick: () => set({ weights: usualWeights(), filters: {} }) }, "Reset");
  place.append(
    el("div", { class: "panel-head" }, el("h2", {}, "Look for"), el("span", { class: "muted small hint" }, "which items are found: each outcome’s share of the search"), reset),
    el("div", { class: "sliders" }, ...rows),
    ...chips());
  on(["weights", "filters"], show);
  show();
}

/** Shows how many items of the answer each outcome brought in. */
export function found(shares) {
  const brought = Object.fromEntries(shares.map(({ outcome, items }) => [outcome, items]));
  for (const [name, { items }] of sliders) {
    items.textContent = brought[name] === undefined ? "" : `→ ${brought[name]}`;
    items.title = brought[name] === undefined ? "" : `${plural(brought[name], "item")} of this answer`;
  }
}

/** Puts the cursor on the first slider. */
export const focus = () => sliders.values().next().value?.input.focus();

function weigh(name, weight) {
  const weights = { ...state.weights, [name]: weight };
  // The last outcome cannot be switched off: something has to be looked for.
  if (!Object.values(weights).some((value) => value > 0)) weights[name] = 5;
  set({ weights });
}

function only(name) {
  const alone = state.weights[name] > 0 && Object.entries(state.weights).every(([other, weight]) => other === name || !weight);
  set({ weights: alone ? usualWeights() : Object.fromEntries(Object.keys(state.weights).map((other) => [other, other === name ? 100 : 0])) });
}

function chips() {
  const facet = state.about.facets[0];
  if (!facet) return [];
  const next = { undefined: "include", include: "exclude", exclude: undefined };
  const cycle = (value) => {
    const { [value]: mode, ...rest } = state.filters;
    set({ filters: next[mode] ? { ...rest, [value]: next[mode] } : rest });
  };
  const row = el("div", { class: "filters", role: "group", "aria-label": `Filter by ${facet.column}` }, el("span", { class: "label" }, facet.column));
  for (const [value, n] of facet.values.slice(0, CHIPS)) {
    row.append(el("button", { class: "chip", type: "button", "data-value": value, title: `${count(n)} items. Click: only these; again: none of these.`, onclick: () => cycle(value) }, value));
  }
  return [row];
}

function show() {
  const total = Object.values(state.weights).reduce((a, b) => a + b, 0) || 1;
  for (const [name, { row, input, output }] of sliders) {
    const weight = state.weights[name] ?? 0;
    input.value = weight;
    input.style.setProperty("--fill", `${weight}%`);
    output.value = percent(weight / total);
    row.classList.toggle("off", weight === 0);
  }
  for (const chip of place.querySelectorAll(".chip")) {
    const mode = state.filters[chip.dataset.value];
    if (mode) chip.dataset.mode = mode;
    else delete chip.dataset.mode;
    chip.setAttribute("aria-pressed", mode === "include" ? "true" : mode === "exclude" ? "mixed" : "false");
  }
}
