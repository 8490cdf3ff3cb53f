// What the page is about, kept in one object and mirrored in the address, so that a view can be shared or reloaded.

const listeners = new Map();

/** How many items can be asked for. */
export const SIZES = [12, 24, 48, 100];
/** The views, in the order of their tabs. */
export const VIEWS = ["answer", "traffic", "map"];
/** Furthest a worth slider goes, in times as usual. */
export const MOST = 3;

export const state = {
  about: null, // what the server serves
  mode: "user", // "user": a stored history, "build": one made by hand
  user: null, // raw id
  built: [], // [{item: card, action: name | null}], oldest first
  weights: {}, // outcome -> 0..100
  worths: {}, // action -> how many times its usual worth; below 0 = unwanted
  query: "", // what is searched
  surface: "", // where the answer is shown; empty = the usual one, or where searches are made
  filters: {}, // category value -> "include" | "exclude"
  k: 24,
  open: null, // id of the item shown in the drawer
  view: "answer", // one of VIEWS
  answer: null, // the answer on show
  timeline: null, // the stored history on show
  posted: null, // the event posted last: {user, item, action, time}
};

/** Runs `listener` whenever one of `names` was set. */
export function on(names, listener) {
  for (const name of [names].flat()) listeners.set(name, [...(listeners.get(name) ?? []), listener]);
}

/** Sets parts of the state and tells whoever listens, each listener once. */
export function set(change) {
  Object.assign(state, change);
  const due = new Set(Object.keys(change).flatMap((name) => listeners.get(name) ?? []));
  for (const listener of due) listener(change);
  remember();
}

/** The weights the model would use by itself, as slider positions. */
export function usualWeights() {
  const largest = Math.max(...state.about.outcomes.map((outcome) => outcome.default), 1e-9);
  return Object.fromEntries(state.about.outcomes.map((o) => [o.name, Math.round((o.default / largest) * 60)]));
}

/** The worths as they are where nothing is asked, in units of `unit`: 1, -1 for what is unwanted, 0 for what never happens. */
export const usualWorths = () => Object.fromEntries(Object.entries(state.about.values).map(([name, value]) => [name, Math.sign(value)]));

/** What one step of 1 on a worth slider means to the engine: how much the action is usually worth. */
export function unit(name) {
  const values = Object.values(state.about.values).map(Math.abs);
  return Math.abs(state.about.values[name]) || Math.max(...values, 1);
}

const asUsual = () => Object.entries(usualWorths()).every(([name, worth]) => state.worths[name] === worth);

/** The body of a request for recommendations. */
export function request() {
  const include = [], exclude = [];
  for (const [value, mode] of Object.entries(state.filters)) (mode === "include" ? include : exclude).push(value);
  const column = state.about.facets[0]?.column;
  const weights = Object.fromEntries(Object.entries(state.weights).filter(([, weight]) => weight > 0));
  const body = { k: state.k, outcomes: weights, filters: {} };
  if (!asUsual()) body.values = Object.fromEntries(Object.entries(state.worths).map(([name, worth]) => [name, worth * unit(name)]));
  const surface = state.surface || (state.query && state.about.search_surface);
  if (state.query) body.query = state.query;
  if (surface) body.surface = surface;
  if (include.length) body.filters.include = { [column]: include };
  if (exclude.length) body.filters.exclude = { [column]: exclude };
  if (state.mode === "user") body.user = state.user;
  else body.history = state.built.map(({ item, action }) => ({ item: item.id, action }));
  return body;
}

function remember() {
  if (!state.about) return;
  const parts = new URLSearchParams();
  if (state.mode === "user" && state.user !== null) parts.set("user", state.user);
  if (state.mode === "build") parts.set("items", state.built.map(({ item }) => item.id).join(","));
  const usual = usualWeights();
  for (const [name, weight] of Object.entries(state.weights)) if (weight !== usual[name]) parts.set(`w.${name}`, weight);
  const worths = usualWorths();
  for (const [name, worth] of Object.entries(state.worths)) if (worth !== worths[name]) parts.set(`v.${name}`, worth);
  for (const [value, mode] of Object.entries(state.filters)) parts.append(mode, value);
  if (state.query) parts.set("query", state.query);
  if (state.surface) parts.set("surface", state.surface);
  if (state.k !== 24) parts.set("k", state.k);
  if (state.view !== "answer") parts.set("view", state.view);
  history.replaceState(null, "", parts.size ? `#${parts}` : location.pathname);
}

/** What the address says, read once at the start. */
export function remembered() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const filters = {};
  for (const mode of ["include", "exclude"]) for (const value of parts.getAll(mode)) filters[value] = mode;
  const weights = {}, worths = {};
  for (const [key, value] of parts) {
    if (key.startsWith("w.")) weights[key.slice(2)] = Math.min(100, Math.max(0, +value || 0));
    if (key.startsWith("v.")) worths[key.slice(2)] = Math.min(MOST, Math.max(-MOST, +value || 0));
  }
  const k = +parts.get("k");
  return {
    user: parts.get("user"),
    items: parts.get("items")?.split(",").filter(Boolean) ?? null,
    weights,
    worths,
    filters,
    query: parts.get("query") ?? "",
    surface: parts.get("surface") ?? "",
    k: SIZES.includes(k) ? k : 24,
    view: VIEWS.includes(parts.get("view")) ? parts.get("view") : "answer",
  };
}
