// The latencies of one route as bars: a bucket each, its share as height, percentiles as lines across.

const SPACE = "http://www.w3.org/2000/svg";
const [HEIGHT, TOP, BOTTOM, LINE] = [230, 52, 28, 15];

function shape(tag, attributes, text) {
  const node = document.createElementNS(SPACE, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** An end of a bucket, short: 2, 35, 0.5k. */
export const short = (ms) => (ms === null ? "∞" : ms >= 1000 ? `${ms / 1000} s` : `${ms}`);

/** The picture of a route, `width` pixels wide: `buckets` of {to_ms, requests}, and p50_ms, p95_ms, p99_ms. */
export function histogram(route, width) {
  const used = bounded(route.buckets);
  const most = Math.max(...used.map(({ requests }) => requests), 1);
  const step = width / used.length;
  const every = Math.ceil(30 / step); // so many buckets share a label
  const inner = HEIGHT - TOP - BOTTOM;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "histogram", role: "img", "aria-label": spoken(route) });
  svg.append(shape("line", { x1: 0, x2: width, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM, class: "axis" }));
  used.forEach(({ to_ms, requests }, i) => {
    if (requests) {
      const height = Math.max(2, (inner * requests) / most);
      const bar = shape("rect", { x: i * step + 2, y: HEIGHT - BOTTOM - height, width: step - 4, height, rx: 3, class: "column" });
      bar.append(shape("title", {}, `${range(used, i)}: ${requests}`));
      svg.append(bar);
    }
    if ((used.length - 1 - i) % every === 0) svg.append(shape("text", { x: (i + 1) * step - 2, y: HEIGHT - 10, class: "tick", "text-anchor": "end" }, short(to_ms)));
  });
  // One line of text each, the smallest lowest: a label to the left of its mark crosses no other mark.
  const marks = [["p99", route.p99_ms], ["p95", route.p95_ms], ["p50", route.p50_ms]];
  marks.forEach(([name, ms], i) => {
    if (ms === null) return;
    const x = place(used, ms) * step;
    const y = (i + 1) * LINE - 3;
    const left = x > 90;
    svg.append(shape("line", { x1: x, x2: x, y1: y - 9, y2: HEIGHT - BOTTOM, class: "mark" }));
    svg.append(shape("text", { x: x + (left ? -5 : 5), y, class: "mark-name", "text-anchor": left ? "end" : "start" }, `${name} ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`));
  });
  return svg;
}

/** The buckets from the first with requests to the last, with one more on either side. */
function bounded(buckets) {
  const full = buckets.map(({ requests }, i) => (requests ? i : -1)).filter((i) => i >= 0);
  const from = Math.max(0, Math.min(full[0] ?? 0, buckets.length - 8) - 1);
  return buckets.slice(from, Math.max((full.at(-1) ?? 0) + 2, from + 8));
}

/** Where a time is among buckets: 2.5 = in the middle of the third. */
function place(used, ms) {
  let start = 0;
  for (const [i, { to_ms }] of used.entries()) {
    if (to_ms === null) return i;
    if (ms <= to_ms) return i + (i ? (ms - start) / (to_ms - start) : ms / to_ms);
    start = to_ms;
  }
  return used.length;
}

const range = (used, i) => (used[i].to_ms === null ? `over ${short(used[i - 1]?.to_ms ?? 0)} ms` : `up to ${short(used[i].to_ms)} ms`);

const spoken = ({ requests, p50_ms, p95_ms, p99_ms }) =>
  `Latencies of ${requests} requests: half within ${Math.round(p50_ms)} ms, 95 percent within ${Math.round(p95_ms)} ms, 99 percent within ${Math.round(p99_ms)} ms. The table below has the numbers.`;
