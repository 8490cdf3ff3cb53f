// What colours and marks mean, and switches for both.
import { count, el } from "../dom.js";
import { TINTED } from "./points.js";

const CSS = ["--o4", "--o0", "--o2", "--o1", "--o3", "--o5", "--o6", "--o7"];

/** Fills `place` for these points. `chosen`: Set of colours that stand out; `changed()` is called when it has changed. */
export function legend(place, points, chosen, changed) {
  const { categories, column } = points.map;
  const counts = points.counts();
  const tints = [...Array(TINTED + 1).keys()].filter((tint) => counts[tint]);
  const name = (tint) => categories[tint] !== undefined && tint < TINTED ? categories[tint] : categories.length > TINTED ? "all others" : "no category";
  const buttons = tints.map((tint) => el("button", { type: "button", class: "legend-entry", "aria-pressed": "false", tint: `var(${CSS[tint]})`, title: "Show these alone; press several to compare", onclick: () => {
    if (!chosen.delete(tint)) chosen.add(tint);
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(chosen.has(tints[k]))));
    changed();
  } }, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { class: "grow ellipsis" }, name(tint)), el("span", { class: "muted small number" }, count(counts[tint]))));
  place.replaceChildren(
    el("div", { class: "panel-head" }, el("h2", {}, "Colours"), el("span", { class: "muted small" }, column ? `first of ${column}` : "no categories")),
    el("div", { class: "legend-entries", role: "group", "aria-label": "Colours" }, ...(column ? buttons : [])));
}
