// The answer: cards that glide to their new places when the question changes, with how far each has moved.
import * as api from "../api.js";
import { byId, calm, debounced, el, plural, sentence } from "../dom.js";
import { on, request, set, SIZES, state } from "../state.js";
import { entry, tops } from "./card.js";
import { compare, line, mark } from "./changes.js";
import { show as showTimings } from "./footer.js";
import { found as showShares } from "./outcomes.js";

const place = byId("results");
const title = el("h2", {}, "Recommendations");
const facts = el("span", { class: "muted small" });
const notes = el("div", {});
const changes = el("div", {});
const grid = el("ol", { class: "cards" });
const cards = new Map(); // item id -> {node, rank, item}
let pending = null;
let subject = null;
let waiting = null; // the posted event whose answer is on its way

export function start() {
  const sizes = el("select", { "aria-label": "How many", onchange: (event) => set({ k: +event.target.value }) },
    ...SIZES.map((k) => el("option", { value: k, selected: k === state.k }, `${k} items`)));
  place.append(el("div", { class: "answer-head" }, title, facts, el("span", { class: "grow" }), sizes), notes, changes, grid);
  grid.addEventListener("keydown", arrows);
  const soon = debounced(refresh, 130);
  on(["weights", "worths", "query", "surface", "filters", "k", "built"], soon);
  on(["user", "mode"], () => {
    waiting = null;
    refresh();
  });
  on("posted", () => {
    waiting = state.posted;
    refresh();
  });
  on("open", () => cards.forEach(({ node }, id) => node.firstChild.setAttribute("aria-pressed", String(String(id) === String(state.open)))));
}

/** Puts the cursor on the first card. */
export const focus = () => grid.querySelector(".card")?.focus();

/** Asks again and shows the answer; an answer that was overtaken by a newer question is dropped. */
export async function refresh() {
  if (state.mode === "user" && state.user === null) return;
  pending?.abort();
  const mine = (pending = new AbortController());
  const slow = setTimeout(() => (byId("progress").hidden = false), 180);
  grid.classList.add("waiting");
  if (!cards.size) grid.replaceChildren(...Array.from({ length: 12 }, () => el("li", { class: "skeleton" })));
  const started = performance.now();
  try {
    const answer = await api.recommend(request(), mine.signal);
    draw(answer);
    showTimings(answer, performance.now() - started);
    showShares(answer.shares);
    set({ answer });
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  } finally {
    clearTimeout(slow);
    if (pending === mine) {
      byId("progress").hidden = true;
      grid.classList.remove("waiting");
    }
  }
}

function fail(error, again = refresh) {
  notes.replaceChildren(el("p", { class: "banner error", role: "alert" }, el("span", {}, error.message), again ? el("button", { class: "button", type: "button", onclick: again }, "Try again") : null));
  if (!cards.size) grid.replaceChildren();
}

function draw(answer) {
  const whose = state.mode === "user" ? `user ${state.user}` : "built";
  const comparable = subject === whose;
  subject = whose;
  title.textContent = answer.stage === "popularity" ? "Popular now" : state.mode === "user" ? `For user ${state.user}` : "For your history";
  facts.textContent = answer.history_used ? `from ${plural(answer.history_used, "past event")}` : "";
  notes.replaceChildren(...answer.notes.map((note) => el("p", { class: "banner", "data-code": note.code }, sentence(note.message))));

  const scores = answer.items.map(({ score }) => score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const before = new Map([...cards].map(([id, { node, rank, item }]) => [id, { rank, item, box: node.getBoundingClientRect() }]));
  const differs = comparable && before.size > 0;
  const most = tops(answer.items);
  const cursor = cursorIn();
  cards.clear();
  const nodes = answer.items.map((recommendation) => {
    const { item, rank, score } = recommendation;
    const share = high > low ? 0.12 + (0.88 * (score - low)) / (high - low) : 1;
    const moved = differs ? mark(before.get(item.id)?.rank, rank) : null;
    const node = entry(recommendation, { share, moved, most, failed: (error) => fail(error, null) });
    cards.set(item.id, { node, rank, item });
    return node;
  });
  grid.replaceChildren(...nodes);
  if (!nodes.length) grid.append(el("li", { class: "empty" }, "Nothing may be shown. Loosen the filters."));
  if (cursor) restore(cursor);
  if (!calm()) glide(before);
  const event = waiting;
  waiting = null;
  const told = differs ? line(compare(before, answer.items), event, event && performance.now() - event.began) : null;
  changes.replaceChildren(...(told ? [told] : []));
  if (!differs) byId("spoken").textContent = `${plural(answer.items.length, "recommendation")}.`;
}

/** Where the cursor is: on which item, which of its buttons, and at which place of the list. */
function cursorIn() {
  const held = document.activeElement?.closest?.(".entry");
  if (!held || !grid.contains(held)) return null;
  return { item: held.firstChild.dataset.item, action: document.activeElement.dataset.action, at: [...grid.children].indexOf(held) };
}

/** Puts it back: on the same item, or on the one that has taken its place. */
function restore({ item, action, at }) {
  const same = [...grid.children].find((node) => node.firstChild.dataset?.item === item) ?? grid.children[Math.min(at, grid.children.length - 1)];
  const button = action && same.querySelector(`[data-action="${CSS.escape(action)}"]`);
  (button || same.querySelector(".card"))?.focus({ preventScroll: true });
}

function glide(before) {
  const seen = (box) => box.bottom > 0 && box.top < innerHeight;
  for (const [id, { node }] of cards) {
    const was = before.get(id)?.box;
    const now = node.getBoundingClientRect();
    if (!seen(now) && !(was && seen(was))) continue;
    if (!was) {
      if (before.size) node.animate([{ opacity: 0, transform: "scale(.94)" }, { opacity: 1, transform: "none" }], { duration: 260, easing: "ease-out" });
      continue;
    }
    const [x, y] = [was.left - now.left, was.top - now.top];
    if (x || y) node.animate([{ transform: `translate(${x}px, ${y}px)`, zIndex: 1 }, { transform: "none" }], { duration: 380, easing: "cubic-bezier(.2,.8,.25,1)" });
  }
}

function arrows(event) {
  const all = [...grid.querySelectorAll(".card")];
  const at = all.indexOf(document.activeElement);
  if (at < 0) return;
  const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  if (!step) return;
  event.preventDefault();
  all[Math.min(all.length - 1, Math.max(0, at + step))].focus();
}
