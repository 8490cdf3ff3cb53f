// Doing something with an item: a real event of the user on show, or an entry of the history that is being built.
import * as api from "./api.js";
import { set, state } from "./state.js";

/** Whether actions can be done now. */
export const canAct = () => state.mode === "build" || (state.about.takes_events && state.user !== null);

/** What doing an action with an item is called. */
export const nameOf = (action, item) => (state.mode === "build" ? `Add to the history as ${action}: ${item.title}` : `Record ${action} on ${item.title}`);

/** Does it. An event is on the server's disk when this resolves; the answer and the history follow by themselves. */
export async function act(item, action) {
  if (state.mode === "build") {
    set({ built: [...state.built.filter((entry) => entry.item.id !== item.id), { item, action }] });
    return;
  }
  const { user } = state;
  const began = performance.now();
  const event = { event_id: newId(), user, item: item.id, time: Date.now(), actions: [action] };
  const receipt = await api.post([event]);
  if (receipt.events.some(({ outcome }) => outcome !== "kept")) throw new Error("The event was not kept: its id was used before.");
  if (state.user === user && state.mode === "user") set({ posted: { user, item, action, time: event.time, began } });
}

// crypto.randomUUID is only there over HTTPS or on this machine.
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
