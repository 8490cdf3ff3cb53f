// What the request says beside the user: where it is shown, and what was searched there.
import { byId, debounced, el } from "../dom.js";
import { on, set, state } from "../state.js";

const place = byId("outcomes");
let input = null;

export function start() {
  const { surfaces, search_surface: searching } = state.about;
  const parts = [];
  if (searching) {
    const type = debounced(() => set({ query: input.value.trim() }), 250);
    input = el("input", { type: "search", class: "field", maxLength: 1000, placeholder: "nothing searched", "aria-label": "Searched for", value: state.query, oninput: type });
    parts.push(el("label", { class: "asked-part grow" }, "Searched for", input));
  }
  if (surfaces.length > 1) {
    const usual = el("option", { value: "" }, "usual");
    const options = surfaces.map((name) => el("option", { value: name }, name));
    const select = el("select", { class: "field", "aria-label": "Surface", onchange: () => set({ surface: select.value }) }, usual, ...options);
    select.value = state.surface;
    on(["query", "surface"], () => (usual.textContent = state.query ? searching : "usual"));
    if (state.query) usual.textContent = searching;
    parts.push(el("label", { class: "asked-part" }, "Shown on", select));
  }
  if (parts.length) place.append(el("div", { class: "asked" }, ...parts));
}

/** Puts the cursor into the query. */
export const focus = () => input?.focus();
