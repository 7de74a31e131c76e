"use strict";

// Elements and words. What the study says becomes text nodes and attribute values, never
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

// For axes and for means over what the filters leave; every other number comes as text.
const percent = (x, digits = 1) => (known(x) ? minus((100 * x).toFixed(digits)) : NONE);
const signed = (x, digits = 1) => {
  const text = percent(x, digits);
  return x > 0 && Number(text) !== 0 ? `+${text}` : text.replace(/^−(0\.?0*)$/, "$1");
};
const count = (x) => (known(x) ? Math.round(x).toLocaleString("en") : NONE);
const many = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
const labelCount = (n) => (n === 0 ? "all" : count(n));

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
