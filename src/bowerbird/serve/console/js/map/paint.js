// Draws the map: all items on one sheet, what is said about some of them on a second one over it.
import { TINTED } from "./points.js";

const GROWS = [0.85, 1.15, 1.6, 2.2]; // by how popular an item is
const SQUARE_BELOW = 1.3; // dots of fewer dots of the screen are drawn as squares: quicker, and nobody sees it
const FULL = 2 * Math.PI;

/** The colours of the page as it looks now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    tints: [...["--o4", "--o0", "--o2", "--o1", "--o3", "--o5", "--o6"].map(value), value("--o7")],
    ink: value("--ink"), soft: value("--soft"), line: value("--line"), card: value("--card"), blue: value("--blue"), font: value("--sans"),
    dark: style.colorScheme.startsWith("dark"),
  };
}

/** The radius of a usual dot in pixels. */
export function dot(points, camera) {
  const base = Math.min(4.5, Math.max(0.9, 150 / Math.sqrt(points.length)));
  return Math.min(8, base * Math.sqrt(Math.max(0.6, Math.min(camera.width, camera.height) / 700)) * camera.zoom ** 0.5);
}

/** Draws the items. `lit` marks those that stand out (null: all alike); of `every` items one is drawn, for moving pictures. */
export function drawItems(context, points, camera, look, { lit = null, every = 1, ratio = 1 } = {}) {
  context.clearRect(0, 0, camera.width, camera.height);
  const usual = dot(points, camera);
  if (lit) {
    context.globalAlpha = look.dark ? 0.5 : 0.75;
    batch(context, points, camera, look, usual * 0.9, () => look.line, (i) => !lit[i], every, ratio);
  }
  context.globalAlpha = lit ? 1 : look.dark ? 0.86 : 0.8;
  batch(context, points, camera, look, lit ? Math.max(usual * 1.15, 2.2) : usual, (tint) => look.tints[tint], lit && ((i) => lit[i]), every, ratio);
  context.globalAlpha = 1;
}

function batch(context, points, camera, look, usual, colour, wanted, every, ratio) {
  const { width, height, scale } = camera;
  const [left, top] = camera.toScreen(0, 0);
  for (const { size, tint, items } of points.batches) {
    const r = usual * GROWS[size];
    const square = r * ratio < SQUARE_BELOW;
    context.beginPath();
    for (let k = 0; k < items.length; k += every) {
      const i = items[k];
      if (wanted && !wanted(i)) continue;
      const x = points.x[i] * scale + left, y = points.y[i] * scale + top;
      if (x < -r || y < -r || x > width + r || y > height + r) continue;
      if (square) context.rect(x - r, y - r, 2 * r, 2 * r);
      else {
        context.moveTo(x + r, y);
        context.arc(x, y, r, 0, FULL);
      }
    }
    context.fillStyle = colour(tint);
    context.fill();
    if (r > 3) {
      context.lineWidth = 0.9;
      context.strokeStyle = look.card;
      context.stroke();
    }
  }
}

/** Draws what is said: the history in order of time, the answer as rings, the item that is open, the crosshair, and titles.
 *  `history`, `answer` and `landmarks` are places in the arrays; `titles(i)` gives a name where it is known. */
export function drawMarks(context, points, camera, look, { history, answer, open, hover, cross, landmarks, titles }) {
  context.clearRect(0, 0, camera.width, camera.height);
  const r = Math.max(dot(points, camera), 2.4);
  const at = (i) => camera.toScreen(points.x[i], points.y[i]);
  path(context, history.map(at), look);
  history.map(at).forEach(([x, y], k) => disc(context, x, y, k === history.length - 1 ? r + 2 : Math.max(2.6, r * 0.8), look.ink, look.card));
  for (const i of answer) ring(context, ...at(i), r + 4, look.blue, look.card, 2.2);
  if (open !== undefined) ring(context, ...at(open), r + 8, look.ink, look.card, 2.4);
  const taken = [];
  const first = [hover, open].filter((i) => i !== undefined);
  const room = Math.round(camera.width / 110); // the names of all that is recommended would hide what it is about
  for (const i of new Set([...first, ...answer.slice(0, room), ...landmarks])) {
    const plain = !first.includes(i) && !answer.includes(i);
    label(context, titles(i), at(i), plain ? r + 3 : r + 8, camera, look, taken, { always: first.includes(i), plain });
  }
  if (hover !== undefined) ring(context, ...at(hover), r + 3, look.ink, look.card, 1.6);
  if (cross) crosshair(context, cross, look);
}

function path(context, places, look) {
  context.lineCap = "round";
  context.lineWidth = 1.3;
  context.strokeStyle = look.ink;
  for (let k = 1; k < places.length; k++) {
    context.globalAlpha = 0.06 + (0.3 * k) / places.length; // what is long ago fades
    context.beginPath();
    context.moveTo(...places[k - 1]);
    context.lineTo(...places[k]);
    context.stroke();
  }
  context.globalAlpha = 1;
}

function disc(context, x, y, r, fill, edge) {
  context.beginPath();
  context.arc(x, y, r, 0, FULL);
  context.fillStyle = fill;
  context.fill();
  context.lineWidth = 1.4;
  context.strokeStyle = edge;
  context.stroke();
}

function ring(context, x, y, r, colour, halo, width) {
  for (const [style, lineWidth] of [[halo, width + 2.4], [colour, width]]) {
    context.beginPath();
    context.arc(x, y, r, 0, FULL);
    context.strokeStyle = style;
    context.lineWidth = lineWidth;
    context.stroke();
  }
}

/** A title beside its item, where there is room; `always`: even where there is none; `plain`: not to be looked at first. */
function label(context, title, [x, y], away, camera, look, taken, { always, plain }) {
  if (!title || x < 0 || y < 0 || x > camera.width || y > camera.height) return;
  const most = camera.width < 500 ? 20 : 30;
  const text = title.length > most ? `${title.slice(0, most - 1)}…` : title;
  context.font = plain ? `11.5px ${look.font}` : `600 12px ${look.font}`;
  const width = context.measureText(text).width;
  const left = x + away + width > camera.width - 4 ? x - away - width : x + away;
  const box = { left: left - 3, right: left + width + 3, top: y - 10, bottom: y + 8 };
  if (!always && taken.some((other) => box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top)) return;
  taken.push(box);
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = look.card;
  context.strokeText(text, left, y + 4);
  context.fillStyle = plain ? look.soft : look.ink;
  context.fillText(text, left, y + 4);
}

function crosshair(context, [x, y], look) {
  for (const [style, lineWidth] of [[look.card, 4], [look.ink, 1.6]]) {
    context.strokeStyle = style;
    context.lineWidth = lineWidth;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 6 * dx, y + 6 * dy);
      context.lineTo(x + 20 * dx, y + 20 * dy);
    }
    context.stroke();
  }
}

/** The colour of a category, by its place among the most frequent. */
export const tintOf = (look, place) => look.tints[Math.min(place, TINTED)];
