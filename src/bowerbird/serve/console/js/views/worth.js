// Worth sliders: in which order what was found comes. Apart from the outcome sliders, which decide what is found at all.
import { tint } from "../art.js";
import { byId, el } from "../dom.js";
import { MOST, on, set, state, usualWorths } from "../state.js";

const place = byId("worth");
const sliders = new Map();

export function start() {
  const { values, outcomes, ranks } = state.about;
  place.hidden = !ranks;
  if (!ranks) return;
  const rows = Object.keys(values).map((name) => {
    const input = el("input", { type: "range", min: -MOST, max: MOST, step: 0.25, "aria-label": `Worth of ${name}`, oninput: () => weigh(name, +input.value) });
    const output = el("output", { class: "number" });
    const row = el("div", { class: "slider worth", tint: tint(name, outcomes) }, el("span", { class: "dot" }), el("span", { class: "name" }, name), el("span", {}), output, input);
    sliders.set(name, { row, input, output });
    return row;
  });
  const reset = el("button", { class: "quiet-button", type: "button", "aria-label": "Reset worths", onclick: () => set({ worths: usualWorths() }) }, "Reset");
  place.append(
    el("div", { class: "panel-head" }, el("h2", {}, "Worth"), el("span", { class: "muted small hint" }, "in which order they come: what each likely action counts"), reset),
    el("div", { class: "sliders" }, ...rows),
    el("p", { class: "muted small legend" }, "×1: as usual, an action counts by how much likelier than usual it is. ×0: ignored. Below 0: counts against an item."));
  on("worths", show);
  show();
}

/** Puts the cursor on the first slider. */
export const focus = () => sliders.values().next().value?.input.focus();

function weigh(name, worth) {
  const worths = { ...state.worths, [name]: worth };
  // Something has to count, or there would be no order.
  if (!Object.values(worths).some((value) => value)) worths[name] = 0.25;
  set({ worths });
}

function show() {
  for (const [name, { row, input, output }] of sliders) {
    const worth = state.worths[name] ?? 0;
    const at = (value) => (100 * (value + MOST)) / (2 * MOST);
    input.value = worth;
    input.style.setProperty("--from", `${at(Math.min(0, worth))}%`);
    input.style.setProperty("--to", `${at(Math.max(0, worth))}%`);
    output.value = `×${worth < 0 ? "−" : ""}${Math.abs(worth)}`;
    input.setAttribute("aria-valuetext", spoken(worth));
    row.classList.toggle("off", worth === 0);
  }
}

function spoken(worth) {
  if (worth === 0) return "ignored";
  const size = Math.abs(worth) === 1 ? "as much as usual" : `${Math.abs(worth)} times as much as usual`;
  return worth < 0 ? `against an item, ${size}` : `for an item, ${size}`;
}
