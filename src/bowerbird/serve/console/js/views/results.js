// The answer: cards that glide to their new places when the question changes, with how far each has moved.
import * as api from "../api.js";
import { tile, tint } from "../art.js";
import { byId, calm, debounced, el, plural } from "../dom.js";
import { on, request, set, state } from "../state.js";
import { show as showTimings } from "./footer.js";
import { found as showShares } from "./outcomes.js";

const place = byId("results");
const title = el("h2", {}, "Recommendations");
const facts = el("span", { class: "muted small" });
const notes = el("div", {});
const grid = el("ol", { class: "cards" });
const cards = new Map(); // item id -> {node, rank}
let pending = null;
let subject = null;

export function start() {
  const sizes = el("select", { "aria-label": "How many", onchange: (event) => set({ k: +event.target.value }) },
    ...[12, 24, 48].map((k) => el("option", { value: k, selected: k === state.k }, `${k} items`)));
  place.append(el("div", { class: "answer-head" }, title, facts, el("span", { class: "grow" }), sizes), notes, grid);
  grid.addEventListener("keydown", arrows);
  const soon = debounced(refresh, 130);
  on(["weights", "filters", "k", "built"], soon);
  on(["user", "mode"], refresh);
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

function fail(error) {
  notes.replaceChildren(el("p", { class: "banner error", role: "alert" }, el("span", {}, error.message), el("button", { class: "button", type: "button", onclick: refresh }, "Try again")));
  if (!cards.size) grid.replaceChildren();
}

function draw(answer) {
  const whose = state.mode === "user" ? `user ${state.user}` : `built ${state.built.length ? "" : "empty"}`;
  const comparable = subject === whose || (state.mode === "build" && subject?.startsWith("built"));
  subject = whose;
  title.textContent = answer.stage === "popularity" ? "Popular now" : state.mode === "user" ? `For user ${state.user}` : "For your history";
  facts.textContent = answer.history_used ? `from ${plural(answer.history_used, "past event")}` : "";
  notes.replaceChildren(...answer.notes.map((note) => el("p", { class: "banner", "data-code": note.code }, sentence(note.message))));

  const scores = answer.items.map(({ score }) => score);
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const before = new Map([...cards].map(([id, { node, rank }]) => [id, { rank, box: node.getBoundingClientRect() }]));
  cards.clear();
  const nodes = answer.items.map((entry) => {
    const was = before.get(entry.item.id);
    const share = high > low ? 0.12 + (0.88 * (entry.score - low)) / (high - low) : 1;
    const node = el("li", {}, card(entry, share, comparable && before.size ? move(was?.rank, entry.rank) : null));
    cards.set(entry.item.id, { node, rank: entry.rank });
    return node;
  });
  const focused = document.activeElement?.closest?.(".card")?.dataset.item;
  grid.replaceChildren(...nodes);
  if (!nodes.length) grid.append(el("li", { class: "empty" }, "Nothing may be shown. Loosen the filters."));
  if (focused) grid.querySelector(`[data-item="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  if (!calm()) glide(before);
  const fresh = answer.items.filter(({ item }) => !before.has(item.id)).length;
  byId("spoken").textContent = `${plural(answer.items.length, "recommendation")}, ${fresh} new.`;
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;

function move(was, rank) {
  if (was === undefined) return el("span", { class: "move new" }, "new");
  if (was === rank) return null;
  const up = rank < was;
  const label = `${up ? "up" : "down"} ${Math.abs(was - rank)}`;
  return el("span", { class: `move ${up ? "up" : "down"}`, "aria-label": label }, `${up ? "▲" : "▼"} ${Math.abs(was - rank)}`);
}

function card(entry, share, moved) {
  const { item, why } = entry;
  const colour = tint(why.outcome, state.about.outcomes);
  return el("button", { type: "button", class: "card", tint: colour, "data-item": item.id, "aria-pressed": String(String(item.id) === String(state.open)), onclick: () => set({ open: item.id }) },
    tile(item),
    el("h3", {}, item.title),
    el("span", { class: "genres" }, [year(item), ...item.categories].filter(Boolean).join(" · ") || "\u00a0"),
    el("span", { class: "score", title: `score ${entry.score}` }, el("span", { class: "bar" }, el("i", { width: `${share * 100}%` })), el("span", { class: "number" }, entry.score.toFixed(3))),
    el("span", { class: "rank number" }, String(entry.rank), moved),
    el("span", { class: "why" }, el("span", { class: "dot" }), ...reason(why)));
}

const year = (item) => Object.entries(item.facts).find(([name]) => /^year$/i.test(name))?.[1];

function reason(why) {
  if (why.stage === "popularity") return ["recently popular"];
  if (why.stage === "content") return ["alike by category"];
  const parts = ["found for ", el("b", {}, why.outcome === "any" ? "any outcome" : why.outcome)];
  if (why.step !== null) parts.push(` · step ${why.step}`);
  if (why.offset !== null && why.offset !== "next") parts.push(` · ${why.offset}`);
  return [el("span", { class: "ellipsis" }, ...parts)];
}

function glide(before) {
  for (const [id, { node }] of cards) {
    const was = before.get(id)?.box;
    if (!was) {
      if (before.size) node.animate([{ opacity: 0, transform: "scale(.94)" }, { opacity: 1, transform: "none" }], { duration: 260, easing: "ease-out" });
      continue;
    }
    const now = node.getBoundingClientRect();
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
