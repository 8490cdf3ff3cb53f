// What the server is doing: rates, latencies, stages, the release, the memory of the model. Looks again every few seconds,
// but only while somebody can see it.
import * as api from "../api.js";
import { asMs, byId, count, debounced, el, percent, plural } from "../dom.js";
import { on, state } from "../state.js";
import { histogram, short } from "./histogram.js";

const EVERY = 3000;
const RECOMMENDATIONS = "/v1/recommendations";
const TINTS = ["--o4", "--any", "--o3", "--o0", "--o1", "--o2", "--o5", "--o6"];
const place = byId("traffic");
const panel = (title, ...more) => el("section", { class: "panel", "aria-label": title }, el("div", { class: "panel-head" }, el("h2", {}, title), ...more));

const status = el("p", { class: "muted small", id: "traffic-status" });
const body = el("div", { class: "traffic-grid" });
const spans = el("div", { class: "segments", role: "group", "aria-label": "Stretch of time" });
// What can hold the cursor is made once: a redraw every few seconds must not take it away.
const routes = el("select", { "aria-label": "Route", onchange: () => { route = routes.value; draw(); } });
const picture = el("div", {});
const buckets = el("tbody", {});
const rows = el("tbody", {});
const parts = new Map(); // name -> panel on show
let span = "total";
let route = RECOMMENDATIONS;
let latest = null;
let timer = 0;
let pending = null;

export function start() {
  for (const [name, text] of [["total", "Since the start"], ["recent", "Last minute"]])
    spans.append(el("button", { type: "button", "data-span": name, "aria-pressed": String(name === span), onclick: () => choose(name) }, text));
  place.append(el("div", { class: "traffic-head" }, el("h2", {}, "Traffic"), status, el("span", { class: "grow" }), spans), body);
  const latency = panel("Latency", routes);
  latency.classList.add("wide");
  latency.append(picture, el("details", {}, el("summary", {}, "As a table"), listed(["took", "requests", "share"], buckets)));
  const table = panel("Routes");
  table.classList.add("wide");
  table.append(el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Routes, as a table" }, listed(["route", "requests", "a second", "p50", "p95", "p99", "failed"], rows)));
  for (const name of ["numbers", "stages", "release", "pool", "events"]) parts.set(name, el("div", {}));
  body.append(parts.get("numbers"), latency, parts.get("stages"), parts.get("release"), parts.get("pool"), parts.get("events"), table);
  on("view", run);
  document.addEventListener("visibilitychange", run);
  addEventListener("resize", debounced(draw, 150));
}

function choose(name) {
  span = name;
  for (const button of spans.children) button.setAttribute("aria-pressed", String(button.dataset.span === span));
  draw();
}

/** Starts looking where the view can be seen, and stops where it cannot. */
function run() {
  clearTimeout(timer);
  pending?.abort();
  if (state.view === "traffic" && !document.hidden) look();
}

async function look() {
  const mine = (pending = new AbortController());
  try {
    latest = await api.traffic(mine.signal);
    draw();
    status.textContent = `${new Date(latest.time).toLocaleTimeString()} · looks again every ${EVERY / 1000} s while this is on show`;
  } catch (error) {
    if (error.name === "AbortError") return;
    status.textContent = error.message;
  }
  if (pending === mine) timer = setTimeout(look, EVERY);
}

function draw() {
  if (!latest) return;
  const figures = latest[span];
  const own = figures.routes.find((one) => one.route === route);
  const made = { numbers: numbers(figures, own), stages: stages(figures), release: release(), pool: pool(), events: events(figures) };
  for (const [name, node] of Object.entries(made)) {
    parts.get(name).replaceWith(node);
    parts.set(name, node);
  }
  latencies(figures, own);
  const cells = (one) => [count(one.requests), rate(one.per_s), asMs(one.p50_ms), asMs(one.p95_ms), asMs(one.p99_ms), count(one.failures)];
  rows.replaceChildren(...figures.routes.map((one) => line(one.route, cells(one))));
}

const listed = (heads, body) => el("table", { class: "plain number" }, el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col" }, text)))), body);
const line = (head, cells) => el("tr", {}, el("th", { scope: "row" }, head), ...cells.map((text) => el("td", {}, text)));

function numbers(figures, own) {
  const failures = figures.routes.reduce((sum, one) => sum + one.failures, 0);
  const refused = Object.entries(figures.refused);
  const ms = (value) => (value === undefined || value === null ? "–" : asMs(value));
  const one = (name, value, more = "") => el("div", { class: "figure" }, el("dt", {}, name), el("dd", { class: "number" }, value), el("dd", { class: "muted small" }, more));
  return el("dl", { class: "panel figures" },
    one("requests a second", rate(latest.recent.per_s), `last ${Math.max(1, Math.round(Math.min(latest.recent.seconds, 9999)))} s`),
    one("requests", count(figures.requests), span === "total" ? `in ${duration(figures.seconds)}` : "in the last minute"),
    one("p50", ms(own?.p50_ms), "half are quicker"), one("p95", ms(own?.p95_ms), "19 of 20 are quicker"), one("p99", ms(own?.p99_ms), "99 of 100 are quicker"),
    one("failed", count(failures), "status 500 or more"),
    one("turned away", count(refused.reduce((sum, [, n]) => sum + n, 0)), refused.map(([why, n]) => `${why} ${n}`).join(", ") || "nobody"));
}

function latencies(figures, own) {
  const names = [...new Set([RECOMMENDATIONS, route, ...figures.routes.map((one) => one.route)])];
  if (names.join() !== [...routes.options].map(({ value }) => value).join()) routes.replaceChildren(...names.map((name) => el("option", { value: name, selected: name === route }, name)));
  picture.replaceChildren(...(own
    ? [histogram(own, picture.clientWidth || 640), el("p", { class: "muted small" }, "milliseconds, ends of the buckets; height: number of requests")]
    : [el("p", { class: "empty" }, "No requests in this stretch of time.")]));
  const took = (ms) => (ms === null ? "longer" : `up to ${short(ms)}${ms >= 1000 ? "" : " ms"}`);
  buckets.replaceChildren(...(own?.buckets ?? []).filter(({ requests }) => requests).map(({ to_ms, requests }) => line(took(to_ms), [count(requests), percent(requests / own.requests)])));
}

function stages(figures) {
  const own = figures.stages.filter((one) => one.route === RECOMMENDATIONS);
  const made = panel("Time by stage", el("span", { class: "muted small" }, "recommendations, in the engine"));
  if (!own.length) made.append(el("p", { class: "empty" }, "No answers in this stretch of time."));
  else {
    const rest = Math.max(0, 1 - own.reduce((sum, one) => sum + one.share, 0)); // between the stages
    const whole = own.reduce((sum, one) => sum + one.share, rest);
    made.append(
      el("div", { class: "stack tall", "aria-hidden": "true" }, ...own.map((one, i) => el("i", { tint: `var(${TINTS[i % TINTS.length]})`, width: `${(100 * one.share) / whole}%` }))),
      listed(["stage", "mean", "share"], el("tbody", {}, ...own.map((one, i) => line(dot(TINTS[i % TINTS.length], one.stage), [asMs(one.mean_ms), percent(one.share)])), line(dot("--sunk", "in between"), ["", percent(rest)]))));
  }
  for (const batch of figures.batches)
    made.append(el("p", { class: "small" }, `Batches (${batch.batcher}): ${count(batch.batches)}, of ${batch.mean_size.toFixed(1)} requests on average; ${asMs(batch.mean_ms)} a run, ${asMs(batch.mean_wait_ms)} waiting for it.`));
  return made;
}

const facts = (...pairs) => el("dl", { class: "fact-list" }, ...pairs.filter(Boolean).flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: "number" }, value)]));

function release() {
  const { serving, active, previous, refused } = latest;
  const made = panel("Release", el("span", { class: `badge ${refused ? "bad" : "good"}` }, refused ? "✕ newer one refused" : active && active !== serving ? "↻ swapping" : "✓ serving"));
  made.append(facts(["serving", serving], active !== null && active !== serving && ["should serve", active], active === null ? ["newer ones", "are not followed"] : ["before it", previous ?? "none to go back to"]));
  return made;
}

function pool() {
  const made = panel("Memory for histories");
  const { pool } = latest;
  if (!pool) {
    made.append(el("p", { class: "empty" }, "This model keeps none."));
    return made;
  }
  const asked = pool.hits + pool.appends + pool.misses + pool.changed + pool.unkept;
  const share = (n) => `${count(n)}${asked ? ` (${percent(n / asked)})` : ""}`;
  made.append(
    el("div", { class: "stack tall", role: "img", "aria-label": `${percent(pool.hits / Math.max(1, asked))} hits, ${percent(pool.appends / Math.max(1, asked))} appends` },
      ...[["--o1", pool.hits], ["--o4", pool.appends], ["--o0", asked - pool.hits - pool.appends]].map(([tint, n]) => el("i", { tint: `var(${tint})`, width: `${(100 * n) / Math.max(1, asked)}%` }))),
    facts(
      [dot("--o1", "hits: nothing to encode"), share(pool.hits)], [dot("--o4", "appends: new events only"), share(pool.appends)],
      [dot("--o0", "misses"), share(pool.misses)], [dot("--o0", "other history kept"), share(pool.changed)], pool.unkept > 0 && [dot("--o0", "not kept"), share(pool.unkept)],
      ["slots", `${count(pool.used)} of ${count(pool.slots)}`], ["memory", `${size(pool.used * pool.bytes_per_slot)} of ${size(pool.bytes)}`], ["evictions", count(pool.evictions)], pool.overwritten > 0 && ["overwritten", count(pool.overwritten)]));
  return made;
}

const dot = (tint, text) => el("span", {}, el("span", { class: "dot", tint: `var(${tint})` }), ` ${text}`);

function events(figures) {
  const { history } = latest;
  const made = panel("Posted events", history ? el("span", { class: `badge ${history.ok ? "good" : "bad"}` }, history.ok ? "✓ well" : "✕ not well; see the log") : null);
  const posted = figures.events;
  made.append(history
    ? facts(["accepted", count(posted.accepted ?? 0)], ["posted again", count(posted.duplicate ?? 0)], ["in conflict", count(posted.conflict ?? 0)],
      history.events !== null && ["kept in all", count(history.events)], history.waiting !== null && ["waiting for the disk", count(history.waiting)], history.database && ["database", history.database])
    : el("p", { class: "empty" }, "This server takes no events."));
  return made;
}

const rate = (n) => (n >= 100 ? count(Math.round(n)) : n >= 1 ? n.toFixed(1) : n.toFixed(2));
const size = (bytes) => (bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 1024).toFixed(1)} KiB`);
const duration = (s) => (s >= 7200 ? plural(Math.round(s / 3600), "hour") : s >= 120 ? plural(Math.round(s / 60), "minute") : plural(Math.round(s), "second"));
