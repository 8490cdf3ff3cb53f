// What hands do with the map: mouse, fingers and keys become pans, zooms, a place that is pointed at, and a pick.

const STEP = 14; // pixels the crosshair moves at a press
const STILL = 5; // pixels a pointer may slip and still be a click
const EDGE = 36;

/** Listens on `stage`. `camera` gives the camera, null while there is none; `moved()` is called when it has moved,
 *  `pointed(place, coarse, keyed)` with the pixel that is pointed at or null, `picked(place, coarse)` with the pixel that was chosen. */
export function listen(stage, { camera, moved, pointed, picked }) {
  const held = new Map(); // pointer id -> [x, y]
  let began = null; // where a press began; null once it has become a drag
  let cross = null;

  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const coarse = (event) => event.pointerType === "touch";
  const drop = () => (cross = null);

  stage.addEventListener("pointerdown", (event) => {
    if (!camera() || event.button > 0) return;
    drop();
    stage.setPointerCapture(event.pointerId);
    held.set(event.pointerId, place(event));
    began = held.size === 1 ? place(event) : null;
  });
  stage.addEventListener("pointermove", (event) => {
    if (!camera()) return;
    const now = place(event);
    const before = held.get(event.pointerId);
    if (!before) {
      if (!cross || event.movementX || event.movementY) {
        drop();
        pointed(now, coarse(event), false);
      }
      return;
    }
    if (began && Math.hypot(now[0] - began[0], now[1] - began[1]) < STILL) return;
    began = null;
    stage.classList.add("dragged");
    const others = [...held].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    held.set(event.pointerId, now);
    if (!others.length) camera().pan(now[0] - before[0], now[1] - before[1]);
    else pinch(camera(), others[0], before, now);
    moved();
  });
  for (const name of ["pointerup", "pointercancel"])
    stage.addEventListener(name, (event) => {
      const known = held.delete(event.pointerId);
      if (!held.size) stage.classList.remove("dragged");
      if (known && began && name === "pointerup") picked(began, coarse(event));
      began = null;
    });
  stage.addEventListener("pointerleave", () => !held.size && !cross && pointed(null, false, false));
  stage.addEventListener("wheel", (event) => {
    if (!camera()) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 18 : 1;
    camera().magnify(Math.exp(-Math.max(-90, Math.min(90, event.deltaY * lines)) / 300), ...place(event));
    moved();
  }, { passive: false });

  stage.addEventListener("keydown", (event) => {
    if (!camera() || event.ctrlKey || event.metaKey || event.altKey || event.target !== stage) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const factor = { "+": 1.5, "=": 1.5, "-": 1 / 1.5 }[event.key];
    if (!step && !factor && !["0", "Enter", " "].includes(event.key)) return;
    event.preventDefault();
    if (step) walk(step, event.shiftKey ? 4 * STEP : STEP);
    else if (factor) camera().magnify(factor, ...(cross ?? []));
    else if (event.key === "0") camera().fit();
    else if (cross) return picked(cross, false);
    if (!step) moved();
    pointed(cross, false, true);
  });

  /** Moves the crosshair; at the edge the map moves instead. */
  function walk([right, down], step) {
    const { width, height } = camera();
    if (!cross) return void (cross = [width / 2, height / 2]);
    const next = [cross[0] + right * step, cross[1] + down * step];
    const inside = next[0] > EDGE && next[0] < width - EDGE && next[1] > EDGE && next[1] < height - EDGE;
    if (inside) cross = next;
    else {
      camera().pan(-right * step, -down * step);
      moved();
    }
  }

  return {
    /** Where the crosshair is, where keys move it. */
    cross: () => cross,
    /** Puts it somewhere. */
    aim(at) {
      cross = at;
      pointed(cross, false, true);
    },
    /** The picture has moved under it: it moves along. */
    carry(move) {
      if (cross) cross = move(cross);
    },
  };
}

/** Two fingers: the map stays under both. */
function pinch(camera, still, before, now) {
  const apart = (a, b) => Math.max(20, Math.hypot(a[0] - b[0], a[1] - b[1]));
  const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const [was, is] = [middle(still, before), middle(still, now)];
  camera.pan(is[0] - was[0], is[1] - was[1]);
  camera.magnify(apart(still, now) / apart(still, before), ...is);
}
