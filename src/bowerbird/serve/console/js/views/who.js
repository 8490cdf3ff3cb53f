// Whose recommendations: pick a user, or look for items to build a history from.
import * as api from "../api.js";
import { tile } from "../art.js";
import { asYears, byId, debounced, el, plural } from "../dom.js";
import { on, set, state } from "../state.js";

const place = byId("who");
const input = el("input", { type: "search", autocomplete: "off", spellcheck: false, role: "combobox", "aria-expanded": "false", "aria-controls": "options", "aria-autocomplete": "list", id: "search" });
const options = el("div", { class: "options", id: "options", role: "listbox", hidden: true });
const card = el("div", {});
let found = [];
let chosen = -1;
let pending = null;
let shown = null; // what the entries on show were looked up for

export function start() {
  const segment = (mode, text) => el("button", { type: "button", "data-mode": mode, onclick: () => set({ mode, open: null }) }, text);
  place.append(
    el("div", { class: "segments", role: "group", "aria-label": "Kind of visitor" }, segment("user", "A user"), segment("build", "Build a history")),
    el("div", { class: "search" }, input, el("kbd", { "aria-hidden": "true" }, "/"), options),
    card,
  );
  input.addEventListener("input", debounced(look, 90));
  input.addEventListener("focus", look);
  input.addEventListener("keydown", keys);
  input.addEventListener("blur", () => setTimeout(close, 120));
  on(["mode", "user", "built", "about"], show);
  show();
}

/** Puts the cursor into the search box. */
export function focus() {
  input.focus();
  input.select();
}

function show() {
  for (const button of place.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === state.mode));
  const label = state.mode === "user" ? "Search users by id" : "Search items by title";
  input.placeholder = label;
  input.setAttribute("aria-label", label);
  if (state.mode === "build") {
    const text = state.built.length ? `${plural(state.built.length, "item")} chosen. Add more, or set what was done with each.` : "Search and click items you like: recommendations follow.";
    card.replaceChildren(el("p", { class: "muted small who-card" }, text));
  } else card.replaceChildren();
}

/** Shows the card of the user whose history was loaded. */
export function describe(timeline) {
  if (state.mode !== "user") return;
  const times = timeline.events.map((event) => event.time);
  const last = times.length ? ` · latest ${new Date(times[0]).getFullYear()}` : "";
  card.replaceChildren(el("div", { class: "who-card" },
    el("span", { class: "avatar", "aria-hidden": "true" }, String(timeline.user).slice(0, 3)),
    el("div", {}, el("strong", {}, `User ${timeline.user}`), el("span", { class: "muted small" }, `${plural(timeline.total, "event")}${last}`))));
}

async function look() {
  if (document.activeElement !== input) return;
  pending?.abort();
  const mine = (pending = new AbortController());
  const [mode, text] = [state.mode, input.value];
  try {
    if (mode === "user") found = (await api.users(text, 30, mine.signal)).users;
    else found = (await api.items(text, 30, mine.signal)).items;
  } catch (error) {
    if (error.name === "AbortError") return;
    found = [];
  }
  if (mode !== state.mode) return;
  shown = text;
  chosen = found.length && text ? 0 : -1;
  draw();
}

/** Picks what the text in the box asks for, even where its entries are still on their way. */
async function enter() {
  // A lookup can be overtaken by the one that typing has set off; asking again settles it.
  for (let tries = 0; shown !== input.value && tries < 4; tries++) await look();
  if (shown === input.value) pick(Math.max(0, chosen));
}

function draw() {
  const entries = found.map((entry, i) => el("div",
    { class: "option", role: "option", id: `option-${i}`, "aria-selected": String(i === chosen), onmousedown: (event) => { event.preventDefault(); pick(i); } },
    state.mode === "user"
      ? [el("span", { class: "grow ellipsis" }, String(entry.id)), el("span", { class: "muted small number" }, `${plural(entry.events, "event")} · ${asYears(entry.first, entry.last)}`)]
      : [tile(entry, 26), el("span", { class: "grow ellipsis" }, entry.title), el("span", { class: "muted small number" }, String(entry.events)),
        state.built.some(({ item }) => item.id === entry.id) ? el("span", { class: "check", "aria-label": "chosen" }, "✓") : null]));
  options.replaceChildren(...(entries.length ? entries : [el("p", { class: "empty option" }, "Nothing found.")]));
  options.hidden = false;
  input.setAttribute("aria-expanded", "true");
  mark();
}

function mark() {
  options.querySelectorAll(".option[role]").forEach((node, i) => {
    node.setAttribute("aria-selected", String(i === chosen));
    if (i === chosen) node.scrollIntoView({ block: "nearest" });
  });
  if (chosen >= 0) input.setAttribute("aria-activedescendant", `option-${chosen}`);
  else input.removeAttribute("aria-activedescendant");
}

function close() {
  options.hidden = true;
  shown = null;
  input.setAttribute("aria-expanded", "false");
}

function pick(i) {
  const entry = found[i];
  if (!entry) return;
  input.value = "";
  if (state.mode === "user") {
    close();
    input.blur();
    set({ user: entry.id, open: null });
  } else {
    const others = state.built.filter(({ item }) => item.id !== entry.id);
    set({ built: others.length < state.built.length ? others : [...others, { item: entry, action: null }] });
    look();
  }
}

function keys(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    if (options.hidden) return void look();
    chosen = Math.min(found.length - 1, Math.max(0, chosen + step));
    mark();
  } else if (event.key === "Enter" && (input.value || !options.hidden)) {
    event.preventDefault();
    enter();
  } else if (event.key === "Escape") {
    event.stopPropagation();
    if (options.hidden) input.blur();
    close();
  }
}
