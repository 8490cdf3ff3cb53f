// One item: what it is, why it is in the answer, and what is like it. Opened by a click anywhere, walked along by its list.
import * as api from "../api.js";
import { tile } from "../art.js";
import { byId, count, el, plural } from "../dom.js";
import { on, set, state } from "../state.js";
import { copyToBuilt } from "./history.js";
import { around } from "./near.js";
import { explain } from "./why.js";

const place = byId("drawer");
const why = el("div", { class: "why-here" });
const near = el("div", {});
let trail = [];
let opener = null;

export function start() {
  on("open", show);
  on("answer", () => state.open !== null && explain(why, state.open));
  on("view", settle);
}

/** Puts the drawer beside what is on show: the answer, or the map. */
function settle() {
  const home = byId(state.view === "map" ? "map" : "page");
  if (place.parentElement !== home) home.append(place);
  for (const name of ["page", "map"]) byId(name).classList.toggle("open", state.open !== null && home.id === name);
}

/** Closes the drawer and gives the cursor back. Says whether it was open. */
export function close() {
  if (state.open === null) return false;
  set({ open: null });
  opener?.isConnected && opener.focus({ preventScroll: true });
  return true;
}

async function show() {
  const id = state.open;
  settle();
  place.hidden = id === null;
  if (id === null) {
    trail = [];
    return;
  }
  const byHand = !place.contains(document.activeElement);
  if (byHand) opener = document.activeElement;
  if (trail.at(-1) !== id) trail.push(id);
  try {
    const answer = await api.similar(id, 12);
    if (state.open !== id) return;
    draw(answer);
    explain(why, id);
    around(near, id);
    place.scrollTop = 0;
    if (byHand) place.focus({ preventScroll: true });
  } catch (error) {
    if (state.open === id) place.replaceChildren(head(), el("p", { class: "banner error" }, error.message));
  }
}

function back() {
  trail.pop();
  set({ open: trail.at(-1) });
}

function head() {
  return el("div", { class: "drawer-head" },
    trail.length > 1 ? el("button", { class: "quiet-button", type: "button", onclick: back }, "‹ Back") : null,
    el("span", { class: "grow" }),
    el("button", { class: "icon-button", type: "button", "aria-label": "Close", onclick: close }, "×"));
}

function draw(answer) {
  const { item } = answer;
  const chosen = state.mode === "build" && state.built.some((entry) => entry.item.id === item.id);
  const add = () => {
    if (state.mode === "build") set({ built: chosen ? state.built.filter((entry) => entry.item.id !== item.id) : [...state.built, { item, action: null }] });
    else copyToBuilt([item]);
    draw(answer);
  };
  const label = state.mode === "user" ? "What if they liked this?" : chosen ? "Remove from history" : "Add to history";
  const facts = Object.entries(item.facts).map(([name, value]) => el("span", { class: "tag" }, `${name} ${value}`));
  const high = Math.max(...answer.items.map(({ score }) => score), 1e-9);
  const rows = answer.items.map(({ item: other, score }) => el("button", { class: "row", type: "button", onclick: () => set({ open: other.id }) },
    tile(other, 38),
    el("span", { class: "grow" }, el("span", { class: "title" }, other.title),
      el("span", { class: "score" }, el("span", { class: "bar" }, el("i", { width: `${Math.max(2, (100 * score) / high)}%` })), el("span", { class: "number" }, score.toFixed(3))))));
  place.replaceChildren(
    head(),
    el("div", { class: "subject" }, tile(item, 84), el("div", {}, el("h2", {}, item.title), el("span", { class: "muted small" }, plural(item.events, "positive event")))),
    el("div", { class: "facts" }, ...item.categories.map((name) => el("span", { class: "tag" }, name)), ...facts, el("span", { class: "tag" }, `id ${item.id}`)),
    el("button", { class: "button", type: "button", onclick: add }, label),
    why,
    el("h3", { class: "section" }, answer.stage === "popularity" ? "Popular instead" : answer.stage === "content" ? "Similar by category" : "Similar items"),
    ...answer.notes.map((note) => el("p", { class: "muted small", "data-code": note.code }, note.message)),
    ...rows,
    near);
  byId("spoken").textContent = `${item.title}: ${count(answer.items.length)} similar items.`;
}
