// Starts the page: learns what is served, puts the parts in place, and hands out the keys.
import * as api from "./api.js";
import { unwanted } from "./art.js";
import { byId, count, el } from "./dom.js";
import * as map from "./map/view.js";
import { on, remembered, set, state, usualWeights, usualWorths, VIEWS } from "./state.js";
import * as traffic from "./traffic/view.js";
import * as asked from "./views/asked.js";
import * as drawer from "./views/drawer.js";
import * as history from "./views/history.js";
import * as outcomes from "./views/outcomes.js";
import * as results from "./views/results.js";
import * as who from "./views/who.js";
import * as worth from "./views/worth.js";

const root = document.documentElement;
const help = byId("help");

async function start() {
  const before = remembered();
  let about;
  try {
    about = await api.about();
  } catch (error) {
    byId("results").append(el("p", { class: "banner error", role: "alert" }, error.message));
    return;
  }
  state.about = about;
  byId("about").textContent = `${about.dataset} · ${count(about.users)} users · ${count(about.items)} items · ${count(about.events)} events`;
  document.title = `Bowerbird · ${about.dataset}`;
  const known = Object.fromEntries(Object.entries(before.weights).filter(([name]) => about.outcomes.some((o) => o.name === name)));
  state.weights = { ...usualWeights(), ...known };
  if (!Object.values(state.weights).some((weight) => weight > 0)) state.weights = usualWeights();
  state.worths = { ...usualWorths(), ...Object.fromEntries(Object.entries(before.worths).filter(([name]) => name in about.values)) };
  if (!Object.values(state.worths).some(Boolean)) state.worths = usualWorths();
  unwanted(about.values);
  state.filters = before.filters;
  state.query = about.search_surface ? before.query : "";
  state.surface = about.surfaces.includes(before.surface) ? before.surface : "";
  state.k = before.k;
  who.start();
  history.start();
  outcomes.start();
  asked.start();
  worth.start();
  results.start();
  drawer.start();
  traffic.start();
  map.start();
  set({ view: before.view });
  if (before.items) {
    const cards = await Promise.all(before.items.map((id) => api.item(id).catch(() => null)));
    set({ mode: "build", built: cards.filter(Boolean).map((item) => ({ item, action: null })) });
  } else {
    set({ user: before.user ?? (await firstUser()) });
  }
  document.body.dataset.ready = "true";
}

on("mode", async () => {
  if (state.mode === "user" && state.user === null) set({ user: await firstUser() });
});

/** Somebody with a middling history: the most active users are often robots, the least active say little. */
async function firstUser() {
  const { users } = await api.users("", 200);
  return users.length ? users[Math.floor(users.length * 0.6)].id : null;
}

function swapTheme() {
  const dark = getComputedStyle(root).colorScheme.startsWith("dark");
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("bowerbird.theme", root.dataset.theme);
  if (state.about) { // pictures carry colours of their own
    history.load();
    results.refresh();
    map.repaint();
    if (state.open !== null) set({ open: state.open });
  }
}

/** Shows the answer before something on its page is gone to. */
function answering(go) {
  if (state.view !== "answer") set({ view: "answer" });
  go();
}

/** On a phone the sliders would push the answer off the screen: there they are folded until asked for. */
const steering = byId("steering");
const phone = matchMedia("(max-width: 780px)");
const fold = () => (steering.open = !phone.matches);
phone.addEventListener("change", fold);
fold();

const tabs = [...document.querySelectorAll("[role=tab]")];
on("view", () => {
  for (const tab of tabs) {
    const chosen = tab.dataset.view === state.view;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
  }
  for (const name of ["page", "foot"]) byId(name).hidden = state.view !== "answer";
  for (const name of ["traffic", "map"]) byId(name).hidden = state.view !== name;
});
for (const tab of tabs) {
  tab.addEventListener("click", () => state.about && set({ view: tab.dataset.view }));
  tab.addEventListener("keydown", (event) => {
    if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const other = tabs.at((tabs.indexOf(tab) + (event.key === "ArrowRight" ? 1 : -1)) % tabs.length);
    other.click();
    other.focus();
  });
}

const keys = {
  "/": () => (state.view === "map" ? map.focus() : answering(who.focus)),
  q: () => answering(() => { steering.open = true; asked.focus(); }),
  o: () => answering(() => { steering.open = true; outcomes.focus(); }),
  w: () => answering(() => { steering.open = true; worth.focus(); }),
  r: () => answering(results.focus),
  v: () => set({ view: VIEWS[(VIEWS.indexOf(state.view) + 1) % VIEWS.length] }),
  m: () => set({ view: "map" }),
  t: swapTheme,
  "?": () => help.showModal(),
  b: () => answering(() => { set({ mode: "build", open: null }); who.focus(); }),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.key === "Escape" && drawer.close()) return;
  if (event.target.closest("select, textarea, input:not([type=range])")) return;
  const act = state.about && keys[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
byId("theme").addEventListener("click", swapTheme);
byId("help-open").addEventListener("click", () => help.showModal());
start();
