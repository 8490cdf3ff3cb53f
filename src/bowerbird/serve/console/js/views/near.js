// What is around an item in the graph: the nodes of each type that a random walk from it keeps coming back to.
import * as api from "../api.js";
import { tile } from "../art.js";
import { el, sentence } from "../dom.js";
import { set, state } from "../state.js";

const MOST = 8;
const NAMES = { item: "Items", collection: "Collections", query: "Searches", creator: "Creators" };

/** Fills `place`; leaves it empty where the server has no graph. */
export async function around(place, id) {
  place.replaceChildren();
  if (!state.about.graph) return;
  const head = el("h3", { class: "section" }, "Near in the graph");
  try {
    const answer = await api.neighbourhood(id, MOST);
    if (!place.isConnected || String(state.open) !== String(id)) return;
    const types = answer.types.filter(({ nodes }) => nodes.length);
    place.replaceChildren(head, ...answer.notes.map((note) => el("p", { class: "muted small", "data-code": note.code }, sentence(note.message))), ...types.map(listed));
  } catch (error) {
    if (place.isConnected) place.replaceChildren(head, el("p", { class: "muted small" }, error.message));
  }
}

function listed({ type, nodes }) {
  const name = NAMES[type] ?? `${type[0].toUpperCase()}${type.slice(1)}`;
  const most = nodes[0].score;
  return el("section", { class: "near-type", "data-type": type, "aria-label": `${name} near in the graph` }, el("h4", {}, name), ...nodes.map((node) => row(node, most)));
}

/** A share in per cent, fine where it is small. */
const share = (part) => `${part >= 0.1 ? Math.round(100 * part) : Number((100 * part).toPrecision(2))} %`;

function row({ id, score, through, item }, most) {
  const bar = el("span", { class: "score", title: "share of its time that a random walk from here spends there" },
    el("span", { class: "bar" }, el("i", { width: `${Math.max(2, (100 * score) / Math.max(most, 1e-12))}%` })),
    el("span", { class: "number" }, share(score)));
  const direct = through.map((name) => el("span", { class: "tag", title: "joined directly" }, name));
  const text = el("span", { class: "grow" }, el("span", { class: "title" }, item ? item.title : String(id)), el("span", { class: "near-facts" }, bar, ...direct));
  if (!item) return el("div", { class: "row" }, text);
  return el("button", { class: "row", type: "button", onclick: () => set({ open: item.id }) }, tile(item, 30), text);
}
