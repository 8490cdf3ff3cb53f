// Pictures for items that have none: what a bowerbird might have laid out, drawn from the item's id and categories.
// Equal items give equal pictures; items that share a category share a colour.

const SPACE = "http://www.w3.org/2000/svg";

function hash(text) {
  let value = 2166136261;
  for (const letter of String(text)) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  value ^= value >>> 15;
  value = Math.imul(value, 2246822507);
  return (value ^ (value >>> 13)) >>> 0;
}

function* draws(seed) {
  for (let state = seed || 1; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield ((state >>> 0) % 10007) / 10007;
  }
}

const hue = (text) => (hash(text) * 137.508) % 360;

function shape(tag, attributes) {
  const node = document.createElementNS(SPACE, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** The picture of an item, `size` pixels wide. */
export function tile(item, size = 64) {
  const seed = hash(item.id);
  const names = item.categories.length ? item.categories : [item.title];
  const hues = names.map((_, i) => hue(names[(i + seed) % names.length])).slice(0, 4);
  const random = draws(seed);
  const next = () => random.next().value;
  const dark = getComputedStyle(document.documentElement).colorScheme.startsWith("dark");
  const [back, twig] = dark ? [`hsl(${hues[0]} 26% 21%)`, `hsl(${hues[0]} 26% 44%)`] : [`hsl(${hues[0]} 46% 90%)`, `hsl(${hues[0]} 30% 66%)`];
  const svg = shape("svg", { viewBox: "0 0 64 64", width: size, height: size, class: "tile", "aria-hidden": "true" });
  svg.append(shape("rect", { width: 64, height: 64, fill: back }));
  for (let i = 0; i < 3; i++) {
    const lean = 6 + i * 7 + next() * 4;
    for (const side of [1, -1]) {
      const x = (n) => (side === 1 ? n : 64 - n);
      const path = `M${x(lean)} 66C${x(lean - 8 + next() * 6)} 44 ${x(lean)} 22 ${x(27 + next() * 8)} ${6 + i * 5 + next() * 5}`;
      svg.append(shape("path", { d: path, fill: "none", stroke: twig, "stroke-width": 1.5, "stroke-linecap": "round" }));
    }
  }
  const treasures = 3 + Math.floor(next() * 3);
  for (let i = 0; i < treasures; i++) {
    const colour = `hsl(${hues[i % hues.length]} ${48 + next() * 18}% ${(dark ? 56 : 48) + next() * 14}%)`;
    const [x, y, r] = [12 + (40 * (i + 0.5)) / treasures + (next() - 0.5) * 6, 34 + next() * 20, 5.5 + next() * 6.5];
    const kind = Math.floor(next() * 4);
    if (kind === 0) svg.append(shape("rect", { x: x - r * 0.8, y: y - r * 0.8, width: r * 1.6, height: r * 1.6, rx: 2, fill: colour, transform: `rotate(${Math.round(next() * 90)} ${x} ${y})` }));
    else if (kind === 1) svg.append(shape("ellipse", { cx: x, cy: y, rx: r * 1.15, ry: r * 0.7, fill: colour, transform: `rotate(${Math.round(next() * 180)} ${x} ${y})` }));
    else svg.append(shape("circle", { cx: x, cy: y, r: r * 0.9, fill: colour }));
  }
  return svg;
}

const TINTS = ["--o0", "--o1", "--o2", "--o3", "--o4", "--o5", "--o6", "--o7"];

const negative = new Set();

/** Names the actions that are unwanted. */
export function unwanted(values) {
  for (const [name, value] of Object.entries(values)) if (value < 0) negative.add(name);
}

/** Whether an action is unwanted. */
export const isUnwanted = (name) => negative.has(name);

/** The colour of an outcome or action, by its place among all outcomes. */
export function tint(name, outcomes) {
  if (!name || name === "any") return "var(--any)";
  if (negative.has(name)) return "var(--down)";
  const place = outcomes.filter((outcome) => outcome.name !== "any").findIndex((outcome) => outcome.name === name);
  return place < 0 ? "var(--any)" : `var(${TINTS[place % TINTS.length]})`;
}
