// The items of the map as flat arrays, and which of them lie near a place.

/** How many categories get a colour of their own; the others share one. */
export const TINTED = 7;
const CELL = 8; // points a cell of the grid holds on average

export class Points {
  /** `map` is what the server sent; `turned` lays its wide side upright, for a tall page. */
  constructor(map, turned = false) {
    [this.map, this.turned] = [map, turned];
    this.ids = map.ids;
    this.length = map.ids.length;
    this.x = Float32Array.from(turned ? map.y : map.x);
    this.y = Float32Array.from(turned ? map.x : map.y);
    this.size = Uint8Array.from(map.size);
    this.tint = Uint8Array.from(map.category, (code) => (code < 0 ? TINTED : Math.min(code, TINTED)));
    this.places = new Map(map.ids.map((id, i) => [String(id), i]));
    this.box = { left: low(this.x), right: high(this.x), top: low(this.y), bottom: high(this.y) };
    this.batches = this.#batched();
    this.#sort();
  }

  /** Where an item is in the arrays, by id; undefined where it is not on the map. */
  at(id) {
    return this.places.get(String(id));
  }

  /** How many items have each colour. */
  counts() {
    const found = new Array(TINTED + 1).fill(0);
    for (const tint of this.tint) found[tint]++;
    return found;
  }

  /** Up to `most` items within `radius` of a place, the nearest first; where `lit` is given, only those it marks. */
  near(x, y, radius, most, lit = null) {
    const found = [];
    const [left, right] = [this.#column(x - radius), this.#column(x + radius)];
    const [top, bottom] = [this.#column(y - radius), this.#column(y + radius)];
    for (let row = top; row <= bottom; row++) {
      for (let k = this.first[row * this.columns + left]; k < this.first[row * this.columns + right + 1]; k++) {
        const i = this.order[k];
        const away = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
        if (away <= radius * radius && (!lit || lit[i])) found.push([away, i]);
      }
    }
    return found.sort((a, b) => a[0] - b[0] || b[1] - a[1]).slice(0, most).map(([, i]) => i);
  }

  /** Up to `most` popular items inside a box of the map, no two of them nearer than `apart`. */
  landmarks({ left, right, top, bottom }, apart, most) {
    const found = [];
    for (let i = this.length - 1; i >= 0 && found.length < most; i--) { // popular ones come last
      const x = this.x[i], y = this.y[i];
      if (x < left || x > right || y < top || y > bottom) continue;
      if (found.every((k) => Math.hypot(this.x[k] - x, this.y[k] - y) > apart)) found.push(i);
    }
    return found;
  }

  /** Items by size and colour: what is drawn with one brush. Small ones come first, so that large ones lie on top. */
  #batched() {
    const found = Array.from({ length: 4 }, () => Array.from({ length: TINTED + 1 }, () => []));
    for (let i = 0; i < this.length; i++) found[this.size[i]][this.tint[i]].push(i);
    return found.flatMap((tints, size) => tints.map((items, tint) => ({ size, tint, items: Uint32Array.from(items) }))).filter(({ items }) => items.length);
  }

  #column = (value) => Math.min(this.columns - 1, Math.max(0, Math.floor(value / this.cell)));

  /** A grid over the map: the items of cell c are order[first[c]] up to order[first[c + 1]]. */
  #sort() {
    this.columns = Math.max(1, Math.round(Math.sqrt(this.length / CELL)));
    this.cell = (this.map.side + 1) / this.columns;
    const cells = Uint32Array.from({ length: this.length }, (_, i) => this.#column(this.y[i]) * this.columns + this.#column(this.x[i]));
    this.first = new Uint32Array(this.columns ** 2 + 1);
    for (const cell of cells) this.first[cell + 1]++;
    for (let c = 0; c < this.columns ** 2; c++) this.first[c + 1] += this.first[c];
    const free = this.first.slice();
    this.order = new Uint32Array(this.length);
    cells.forEach((cell, i) => (this.order[free[cell]++] = i));
  }
}

const low = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const high = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
