// Cards of items on the map, asked for one by one when somebody looks at them, and kept.
import * as api from "../api.js";

const KEPT = 4000;
const cards = new Map(); // id -> card, or the promise of one

/** Remembers cards that came with something else. */
export function learn(items) {
  for (const item of items) cards.set(String(item.id), item);
}

/** The card of an item where it is known, else undefined. */
export function known(id) {
  const found = cards.get(String(id));
  return found instanceof Promise ? undefined : found;
}

/** The card of an item; null where the server has none. */
export function card(id) {
  const key = String(id);
  if (!cards.has(key)) {
    if (cards.size > KEPT) cards.clear();
    const asked = api.item(id).then(
      (item) => (cards.set(key, item), item),
      () => (cards.delete(key), null), // the next look asks again
    );
    cards.set(key, asked);
  }
  return Promise.resolve(cards.get(key));
}
