"use strict";

// Elements, numbers and words. What the study says becomes text nodes and attribute values, never
// markup.

const SVG = document.querySelector("svg").namespaceURI;
const NONE = "–";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style")
      for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  const there = children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== "");
  node.append(...there.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);
const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const known = (x) => typeof x === "number" && Number.isFinite(x);
const minus = (text) => text.replace("-", "−");

// Metrics are fractions of 1 in the study and percent here; differences are percentage points.
const percent = (x, digits = 1) => (known(x) ? minus((100 * x).toFixed(digits)) : NONE);
const signed = (x, digits = 1) => {
  if (!known(x)) return NONE;
  const text = (100 * x).toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : minus(x > 0 ? `+${text}` : text);
};
const interval = (low, high, format = percent) =>
  known(low) && known(high) ? `${format(low)} to ${format(high)}` : "no interval";
const chance = (p) => (!known(p) ? NONE : p < 0.001 ? "< 0.001" : String(Number(p.toFixed(3))));

function count(x) {
  if (!known(x)) return NONE;
  return minus(String(Math.round(x))).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

// A number with at most three digits that count: 36.9, 8, 124.
const short = (x) =>
  known(x) ? String(Number(x.toPrecision(x >= 100 ? Math.ceil(Math.log10(x)) : 2))) : NONE;

function withPrefix(x, unit) {
  if (!known(x)) return NONE;
  if (x === 0) return `0 ${unit}`;
  const prefixes = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
  const step = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(x) / 3)));
  return `${Number((x / 1000 ** step).toPrecision(3))} ${prefixes[step]}${unit}`;
}

function duration(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

// 0 labels are all there are.
const labelCount = (n) => (Number(n) === 0 ? "all" : count(Number(n)));

// "192x64" is read as 192×64, "fine_tuned" as fine-tuned; labels carry their unit.
function word(factor, value) {
  if (value === null || value === undefined) return NONE;
  if (factor === "labels") return `${labelCount(value)} label${Number(value) === 1 ? "" : "s"}`;
  if (factor === "resolution") return String(value).replace(/^(\d+)x(\d+)$/, "$1×$2");
  return String(value).replace("fine_tuned", "fine-tuned");
}

const title = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

function mean(values) {
  const there = values.filter(known);
  return there.length ? there.reduce((sum, x) => sum + x, 0) / there.length : null;
}

function unique(values) {
  return [...new Set(values)];
}

// A button that copies a command; where a browser doesn't allow that, it selects the text.
function copyable(text) {
  const code = h("code", { tabindex: 0 }, text);
  const button = h(
    "button",
    { type: "button", class: "quiet", "aria-label": `Copy: ${text}` },
    "Copy",
  );
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return h("div", { class: "command" }, code, button);
}
