// The map of the catalogue: every item a point, what is alike together, with the history and the answer on top.
import * as api from "../api.js";
import { tile } from "../art.js";
import { byId, count, debounced, el, plural } from "../dom.js";
import { on, set, state } from "../state.js";
import { Camera } from "./camera.js";
import { card, known, learn } from "./cards.js";
import { listen } from "./gestures.js";
import { legend } from "./legend.js";
import { colours, drawItems, drawMarks } from "./paint.js";
import { Points } from "./points.js";

const LISTED = 8;
const REACH = { fine: 16, coarse: 26, keyed: 30 }; // pixels around what is pointed at
const FRAME_MS = 24; // a moving picture that takes longer is drawn with fewer points
const MOST_FOUND = 1000;

const place = byId("map");
const items = el("canvas", { "aria-hidden": "true" });
const marks = el("canvas", { "aria-hidden": "true" });
const stage = el("div", { class: "sheet", tabIndex: 0, role: "application", "aria-label": "Map of the catalogue. Arrow keys move a crosshair, plus and minus zoom, zero shows all of it, Enter opens the nearest item." }, items, marks);
const listed = el("div", { class: "under panel", role: "region", "aria-label": "Under the cursor", hidden: true });
const status = el("p", { class: "map-status", role: "status" });
const input = el("input", { type: "search", class: "field", maxLength: 200, placeholder: "Title or id", "aria-label": "Find items on the map" });
const found = el("p", { class: "muted small", role: "status" });
const colour = el("section", { class: "panel", "aria-label": "Colours" });
const shown = el("div", { class: "marks-on" });
const about = el("p", { class: "muted small" });

let points = null, camera = null, look = null, hands = null;
let lit = null; // Uint8Array over the points; null: all alike
let matches = null; // places of what was searched for
const chosen = new Set(); // colours that stand out
const on_top = { history: true, answer: true };
let pointedAt = null, hover, frame = 0, tidy = 0, every = 1, ratio = 1, loading = null, landmarks = [];

export function start() {
  const zoom = (text, name, act) => el("button", { type: "button", class: "icon-button", "aria-label": name, title: name, onclick: () => { act(); moved(); } }, text);
  const controls = el("div", { class: "zoom", role: "group", "aria-label": "Zoom" }, zoom("+", "Zoom in", () => camera?.magnify(1.6)), zoom("−", "Zoom out", () => camera?.magnify(1 / 1.6)), zoom("fit", "Show all of it", () => camera?.fit()));
  const find = el("section", { class: "panel", "aria-label": "Find" }, el("h2", { class: "find-head" }, "Find"), input, found);
  place.prepend(
    el("aside", { class: "side", "aria-label": "About the map" }, find, colour, el("section", { class: "panel", "aria-label": "On top" }, shown, about)),
    el("div", { class: "centre" }, el("div", { class: "sheet-frame" }, stage, listed, controls, status)));
  for (const [name, text] of [["history", "History, in order of time"], ["answer", "Recommended now"]])
    shown.append(el("label", { class: `mark-switch ${name}` }, el("input", { type: "checkbox", checked: true, onchange: (event) => { on_top[name] = event.target.checked; draw(); } }), el("span", { class: "mark-sign", "aria-hidden": "true" }), el("span", { class: "grow" }, text), el("span", { class: "muted small number", "data-count": name })));
  hands = listen(stage, { camera: () => camera, moved, pointed, picked });
  input.addEventListener("input", debounced(search, 160));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") goTo();
    if (event.key === "Escape" && input.value) {
      event.stopPropagation();
      input.value = "";
      search();
    }
  });
  new ResizeObserver(resized).observe(stage);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  on("view", () => state.view === "map" && load());
  on(["timeline", "built", "mode", "answer", "open"], () => points && (told(), draw()));
}

/** Puts the cursor into the search box. */
export const focus = () => input.focus();

/** Draws again in the colours of the page. */
export function repaint() {
  if (!points) return;
  look = colours();
  paint();
  under(); // its pictures carry colours of their own
}

/** Fetches the map where there is none yet, or another release has answered since. */
async function load() {
  if (loading || (points && (!state.answer || state.answer.release === points.map.release))) return resized();
  if (!state.about.map) return void say("This model keeps no vectors of items, so there is no map.");
  if (!points) say("Fetching the map …");
  try {
    loading = api.map();
    const map = await loading;
    loading = null;
    if (map.making) {
      say(`The map is being made: about a minute, once a release. ${map.seconds > 1 ? `${Math.round(map.seconds)} s so far.` : ""}`);
      setTimeout(() => state.view === "map" && load(), 1000 * map.retry_after);
      return;
    }
    show(map);
  } catch (error) {
    loading = null;
    say(error.message);
  }
}

const say = (text) => {
  status.textContent = text;
  status.hidden = !text;
};

function show(map) {
  chosen.clear();
  input.value = found.textContent = "";
  matches = null;
  lay(map);
  look = colours();
  say(points.length ? "" : "No item of the catalogue has a vector.");
  legend(colour, points, chosen, relight);
  about.textContent = [
    `${plural(points.length, "item")}${map.total > points.length ? ` of ${count(map.total)}: the most popular ones, and others by lot` : ""}; near means alike.`,
    map.items > map.total ? `${plural(map.items - map.total, "item")} without a vector.` : "",
    `Vectors: ${map.source}.`,
  ].filter(Boolean).join(" ");
  told();
  resized();
  place.dataset.ready = "true";
}

/** Lays the map the way the page is: a wide one upright where the page is tall. */
function lay(map) {
  points = new Points(map, stage.clientHeight > 1.15 * stage.clientWidth);
  camera = new Camera(points.box);
  every = 1;
  landmarks = [];
  relit();
}

/** Says how much of the history and the answer is on the map. */
function told() {
  for (const [name, all, there] of [["history", past(), onMap(past())], ["answer", answered(), onMap(answered())]])
    shown.querySelector(`[data-count=${name}]`).textContent = there.length === all.length ? count(all.length) : `${count(there.length)} of ${count(all.length)}`;
}

/** Cards of the history, oldest first. */
function past() {
  if (state.mode === "build") return state.built.map(({ item }) => item);
  return (state.timeline?.events ?? []).filter((event) => event.positive).map((event) => event.item).reverse();
}

const answered = () => (state.answer?.items ?? []).map(({ item }) => item);

function onMap(cards) {
  learn(cards);
  return cards.map(({ id }) => points.at(id)).filter((i) => i !== undefined);
}

// --- drawing

function resized() {
  if (!points || !stage.clientWidth) return;
  if (points.turned !== stage.clientHeight > 1.15 * stage.clientWidth) lay(points.map);
  ratio = Math.min(2, devicePixelRatio || 1);
  for (const sheet of [items, marks]) {
    [sheet.width, sheet.height] = [stage.clientWidth * ratio, stage.clientHeight * ratio];
    sheet.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  const aimed = hands.cross() && camera.toMap(...hands.cross());
  camera.resize(stage.clientWidth, stage.clientHeight);
  hands.carry(() => camera.toScreen(...aimed));
  if (pointedAt?.how === "keyed") pointedAt.at = hands.cross();
  paint();
  rested();
}

/** Draws all of it; `rough`: only so many points as a moving picture has time for. */
function paint(rough = false) {
  const began = performance.now();
  const step = rough ? every : 1;
  drawItems(items.getContext("2d"), points, camera, look, { lit, every: step, ratio });
  every = Math.min(64, Math.max(1, Math.ceil((step * (performance.now() - began)) / FRAME_MS)));
  draw();
}

/** The marks alone: cheap, so that they can follow the pointer. */
function draw() {
  if (!camera) return;
  drawMarks(marks.getContext("2d"), points, camera, look, {
    history: on_top.history ? onMap(past()) : [],
    answer: on_top.answer ? onMap(answered()) : [],
    open: state.open === null ? undefined : points.at(state.open),
    hover,
    cross: hands.cross(),
    landmarks: lit ? [] : landmarks,
    titles: (i) => known(points.ids[i])?.title,
  });
}

/** The camera has moved: a rough picture at once where a full one takes long, the full one when it rests. */
function moved() {
  if (!camera) return;
  cancelAnimationFrame(frame);
  clearTimeout(tidy);
  frame = requestAnimationFrame(() => {
    paint(true);
    under();
  });
  rested();
  if (every > 1) tidy = setTimeout(paint, 140);
}

/** Names the most popular items in view, some way apart, once the map rests. */
const rested = debounced(async () => {
  if (!points || state.view !== "map") return;
  const { width, height, scale, seen } = camera;
  const most = Math.round(Math.sqrt(width * height) / 60);
  const named = points.landmarks(seen, Math.max(90, width / 9) / scale, most);
  await Promise.all(named.map((i) => card(points.ids[i])));
  if (camera.scale !== scale || camera.seen.left !== seen.left) return; // moved on
  landmarks = named;
  draw();
}, 220);

// --- what is pointed at

const reach = () => (pointedAt ? REACH[pointedAt.how] / camera.scale : 0);
const near = (most) => points.near(...camera.toMap(...pointedAt.at), reach(), most, lit);
const settled = debounced(() => list(), 110);

function pointed(at, coarse, keyed) {
  if (!points) return;
  pointedAt = at && { at, how: keyed ? "keyed" : coarse ? "coarse" : "fine" };
  under();
}

function under() {
  hover = pointedAt ? near(1)[0] : undefined;
  stage.classList.toggle("over", hover !== undefined);
  draw();
  settled();
}

/** Lists what is under the cursor. Titles are asked for once the cursor rests. */
async function list() {
  if (!pointedAt || state.view !== "map") {
    if (!listed.contains(document.activeElement)) listed.hidden = true;
    return;
  }
  const asked = pointedAt;
  const here = near(LISTED + 1);
  const cards = (await Promise.all(here.slice(0, LISTED).map((i) => card(points.ids[i])))).filter(Boolean);
  if (asked !== pointedAt) return;
  listed.hidden = !cards.length;
  const same = [points.map.release, look.dark, here.length, ...cards.map(({ id }) => id)].join();
  if (same !== listed.dataset.same) fill(cards, here.length); // a redraw would take the cursor off the list
  listed.dataset.same = same;
  if (asked.how === "keyed") byId("spoken").textContent = cards.length ? `${plural(cards.length, "item")} here: ${cards.slice(0, 3).map(({ title }) => title).join(", ")}.` : "Nothing here.";
  draw(); // now that the title is known
}

function fill(cards, all) {
  listed.replaceChildren(
    ...cards.map((item) => el("button", { class: "row", type: "button", "data-item": item.id, onclick: () => set({ open: item.id }) },
      tile(item, 30), el("span", { class: "grow" }, el("span", { class: "title" }, item.title), el("span", { class: "muted small ellipsis" }, item.categories.join(" · "))))),
    ...(all > LISTED ? [el("p", { class: "muted small" }, "and more: zoom in")] : []));
}

function picked(at, coarse) {
  if (!points) return;
  pointedAt = { at, how: hands.cross() ? "keyed" : coarse ? "coarse" : "fine" };
  const [i] = near(1);
  if (i !== undefined) set({ open: points.ids[i] });
  under();
}

// --- search and colours

async function search() {
  const text = input.value.trim();
  if (!text) {
    matches = null;
    found.textContent = "";
    return relight();
  }
  try {
    const { items } = await api.items(text, MOST_FOUND);
    if (text !== input.value.trim() || !points) return;
    matches = onMap(items);
    found.textContent = matches.length ? `${plural(matches.length, "item")}${items.length === MOST_FOUND ? ", the most popular" : ""}. Enter goes there.` : items.length ? "Found, but not on the map." : "Nothing found.";
    relight();
  } catch (error) {
    found.textContent = error.message;
  }
}

function relight() {
  if (!points) return;
  relit();
  paint();
  under();
}

/** Works out which items stand out. */
function relit() {
  lit = null;
  if (matches || chosen.size) {
    lit = new Uint8Array(points.length);
    const wanted = (i) => !chosen.size || chosen.has(points.tint[i]);
    if (matches) for (const i of matches) lit[i] = wanted(i) ? 1 : 0;
    else for (let i = 0; i < points.length; i++) lit[i] = wanted(i) ? 1 : 0;
  }
}

/** Brings what was found into view, and the crosshair to the most popular of it. */
async function goTo() {
  await search();
  if (!matches?.length) return;
  const [xs, ys] = [matches.map((i) => points.x[i]), matches.map((i) => points.y[i])];
  camera.fit({ left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) });
  moved();
  stage.focus();
  hands.aim(camera.toScreen(xs[0], ys[0]));
}
