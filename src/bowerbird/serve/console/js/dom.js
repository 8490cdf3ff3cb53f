// Elements, and how numbers and dates are written.

/** An element: el("p", {class: "muted", onclick: f}, "text", child). Null children are left out; text is never HTML. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "tint") node.style.setProperty("--tint", value);
    else if (key === "width") node.style.width = value;
    else if (key in node && !key.includes("-") && key !== "list") node[key === "class" ? "className" : key] = value;
    else node.setAttribute(key === "className" ? "class" : key, value === true ? "" : value);
  }
  if (props.class) node.className = props.class;
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

const number = new Intl.NumberFormat();
export const count = (n) => number.format(n);
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
export const percent = (share) => `${Math.round(share * 100)} %`;
/** A probability: fine where it is small. */
export const chance = (p) => (p >= 0.0995 || p === 0 ? percent(p) : p < 0.001 ? "<0.1 %" : `${(100 * p).toFixed(1)} %`);

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const month = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" });
export const asDay = (ms) => day.format(new Date(ms));
export const asMonth = (ms) => month.format(new Date(ms));
export const asYears = (first, last) => {
  if (first === null) return "";
  const [a, b] = [new Date(first).getFullYear(), new Date(last).getFullYear()];
  return a === b ? `${a}` : `${a} to ${b}`;
};
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;
export const asMs = (ms) => (ms >= 100 ? `${Math.round(ms)} ms` : ms >= 1 ? `${ms.toFixed(1)} ms` : `${ms.toFixed(2)} ms`);

/** Calls `run` once things have been quiet for `wait` ms. */
export function debounced(run, wait) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), wait);
  };
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
