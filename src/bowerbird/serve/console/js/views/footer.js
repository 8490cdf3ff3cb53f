// How long the answer took, stage by stage, and who gave it.
import { asMs, byId, el } from "../dom.js";

const place = byId("foot");
const TINTS = ["--o4", "--any", "--o3", "--o0", "--o1", "--o2", "--o5", "--o6"];

/** Shows the timings of an answer; `waited` is what the browser saw, in ms. */
export function show(answer, waited) {
  const stages = Object.entries(answer.timings_ms).filter(([name]) => name !== "total");
  const total = answer.timings_ms.total;
  const tint = (i) => `var(${TINTS[i % TINTS.length]})`;
  const bar = el("span", { class: "stack", role: "img", "aria-label": "Time by stage" },
    ...stages.map(([, ms], i) => el("i", { tint: tint(i), width: `${(100 * ms) / Math.max(total, 1e-9)}%` })));
  place.replaceChildren(el("div", { class: "timings number" },
    el("strong", {}, asMs(total)), bar,
    ...stages.map(([name, ms], i) => el("span", { class: "stage" }, el("span", { class: "dot", tint: tint(i) }), `${name} ${asMs(ms)}`)),
    el("span", { class: "stage" }, `${asMs(waited)} in the browser`),
    el("span", { class: "release" }, answer.release)));
}
