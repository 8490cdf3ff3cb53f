// Starts the page: learns what is served, puts the parts in place, and hands out the keys.
import * as api from "./api.js";
import { byId, count, el } from "./dom.js";
import { on, remembered, set, state, usualWeights } from "./state.js";
import * as drawer from "./views/drawer.js";
import * as history from "./views/history.js";
import * as outcomes from "./views/outcomes.js";
import * as results from "./views/results.js";
import * as who from "./views/who.js";

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
  state.filters = before.filters;
  state.k = before.k;
  who.start();
  history.start();
  outcomes.start();
  results.start();
  drawer.start();
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
    if (state.open !== null) set({ open: state.open });
  }
}

const keys = {
  "/": who.focus,
  o: outcomes.focus,
  r: results.focus,
  t: swapTheme,
  "?": () => help.showModal(),
  b: () => { set({ mode: "build", open: null }); who.focus(); },
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
