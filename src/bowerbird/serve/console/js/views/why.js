// Why one item of the answer is there: who found it, what its place is made of, and which past events it looked at.
import * as api from "../api.js";
import { tile, tint } from "../art.js";
import { asDay, chance, el, percent, sentence } from "../dom.js";
import { request, set, state } from "../state.js";
import { acts, tops } from "./card.js";

let asked = null; // {answer, told: promise of an explained one}

/** Fills `place` with what is known about an item of the answer on show; empties it where the item is not in it. */
export async function explain(place, id) {
  const { answer } = state;
  const own = answer?.items.find(({ item }) => String(item.id) === String(id));
  if (!own) return void place.replaceChildren();
  const looked = el("div", { class: "looked-list" }, el("p", { class: "muted small" }, "Asking the model …"));
  const failed = (error) => place.append(el("p", { class: "banner error", role: "alert" }, error.message));
  place.replaceChildren(
    el("h3", { class: "section" }, "Why it is here"),
    el("p", { class: "small" }, ...path(own)),
    acts(own.item, own.probabilities ?? {}, tops(answer.items), failed) ?? "",
    sum(own, answer) ?? "",
    el("h3", { class: "section" }, "Past events it looked at most"),
    looked);
  if (own.why.stage !== "model") {
    looked.replaceChildren(el("p", { class: "muted small" }, "The model did not find this item, so it looked at nothing."));
    return;
  }
  try {
    const told = await explained(answer);
    if (state.answer !== answer || !looked.isConnected) return;
    const entry = told.items.find(({ item }) => item.id === own.item.id);
    const excuse = told.notes.find(({ code }) => code === "not_explained")?.message;
    looked.replaceChildren(...(entry?.looked_at?.length ? entry.looked_at.map((one, _, all) => row(one, all[0].weight)) : [el("p", { class: "muted small" }, sentence(excuse ?? "nothing is known about that"))]));
  } catch (error) {
    if (looked.isConnected) looked.replaceChildren(el("p", { class: "muted small" }, error.message));
  }
}

/** The answer on show, explained: asked for once, whichever of its items is looked at. */
function explained(answer) {
  if (asked?.answer !== answer) {
    const told = api.recommend({ ...request(), explain: true });
    asked = { answer, told };
    told.catch(() => asked?.told === told && (asked = null));
  }
  return asked.told;
}

const RANKED = {
  actions: "by what its likely actions are worth",
  retrieval: "by how near it is to what was looked for",
  content: "by how alike it is to recent items",
  popularity: "by how popular it is lately",
};

function path({ rank, score, why }) {
  const below = { content: "as something like recent items", popularity: "among what is recently popular" }[why.stage];
  const outcome = why.outcome === "any" ? ["with no outcome in particular"] : ["under the outcome ", el("b", {}, why.outcome)];
  const step = why.step === null ? "" : `, at step ${why.step}`;
  const aim = why.offset === null || why.offset === "next" ? "" : `, aiming at ${why.offset}`;
  const found = below ? [below] : ["by the model looking ", ...outcome, step, aim];
  return ["Found ", ...found, `. Placed ${rank} ${RANKED[why.ranked] ?? ""} (score ${score.toFixed(3)}).`];
}

/** How the score is made up: worth times probability, action by action. */
function sum({ probabilities, score, why }, { values }) {
  if (why.ranked !== "actions" || !values) return null;
  const number = (x) => x.toFixed(Math.abs(x) < 0.1 ? 3 : 2).replace("-", "−");
  const rows = Object.entries(probabilities).map(([name, p]) => {
    const part = p * (values[name] ?? 0);
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, chance(p)), el("td", {}, `× ${number(values[name] ?? 0)}`), el("td", {}, number(part)));
  });
  return el("table", { class: "sum number" },
    el("caption", { class: "hidden" }, "Score: probability times worth, summed over the actions"),
    el("thead", {}, el("tr", {}, ...["action", "likely", "worth", "counts"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", {}, ...rows),
    el("tfoot", {}, el("tr", {}, el("th", { scope: "row", colSpan: 3 }, "score"), el("td", {}, number(score)))));
}

function row({ item, time, actions, weight }, most) {
  return el("button", { class: "looked", type: "button", onclick: () => set({ open: item.id }) },
    tile(item, 30),
    el("span", { class: "grow" }, el("span", { class: "title" }, item.title),
      el("span", { class: "actions" }, ...actions.map((name) => el("span", { class: "tag on", tint: tint(name, state.about.outcomes) }, name)),
        actions.length ? null : el("span", { class: "tag" }, "seen"), el("span", { class: "muted small" }, asDay(time)))),
    el("span", { class: "attention" }, el("span", { class: "number small" }, percent(weight)), el("span", { class: "bar" }, el("i", { width: `${Math.max(2, (100 * weight) / most)}%` })), el("span", { class: "hidden" }, " of its attention")));
}
