// Which part of the map is on show: from places of the map to pixels and back.

const CLOSEST = 60; // times as large as the whole map
const FARTHEST = 0.6;
const MARGIN = 28; // pixels around what is fitted in

export class Camera {
  constructor(box) {
    this.box = box;
    [this.width, this.height] = [1, 1];
    [this.x, this.y, this.scale] = [0, 0, 1]; // place in the middle, pixels a unit
    this.home = 1; // the scale that shows all of it
  }

  /** Tells how large the picture is; the first time, all of the map is shown. What is in the middle stays there. */
  resize(width, height) {
    const first = this.width === 1;
    const before = this.home;
    [this.width, this.height] = [width, height];
    this.home = this.#fitting(this.box);
    if (first) this.fit(this.box);
    else this.scale *= this.home / before;
  }

  /** How much larger than the whole map. */
  get zoom() {
    return this.scale / this.home;
  }

  /** The part of the map that is on show. */
  get seen() {
    const [left, top] = this.toMap(0, 0), [right, bottom] = this.toMap(this.width, this.height);
    return { left, right, top, bottom };
  }

  fit(box = this.box) {
    [this.x, this.y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    this.scale = Math.min(this.#fitting(box), this.home * 12);
  }

  toScreen(x, y) {
    return [(x - this.x) * this.scale + this.width / 2, (y - this.y) * this.scale + this.height / 2];
  }

  toMap(left, top) {
    return [(left - this.width / 2) / this.scale + this.x, (top - this.height / 2) / this.scale + this.y];
  }

  pan(right, down) {
    const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
    this.x = clamp(this.x - right / this.scale, this.box.left, this.box.right);
    this.y = clamp(this.y - down / this.scale, this.box.top, this.box.bottom);
  }

  /** Makes everything `factor` times as large; the place under (left, top) stays where it is. */
  magnify(factor, left = this.width / 2, top = this.height / 2) {
    const [x, y] = this.toMap(left, top);
    this.scale = Math.min(this.home * CLOSEST, Math.max(this.home * FARTHEST, this.scale * factor));
    const [nowX, nowY] = this.toScreen(x, y);
    this.pan(left - nowX, top - nowY);
  }

  #fitting(box) {
    const across = Math.max(box.right - box.left, 1), down = Math.max(box.bottom - box.top, 1);
    return Math.min(Math.max(this.width - 2 * MARGIN, 40) / across, Math.max(this.height - 2 * MARGIN, 40) / down);
  }
}
