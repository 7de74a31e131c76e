"use strict";

// Elements and words. What the study says becomes text nodes and attribute values, never markup.

const SVG = document.querySelector("svg").namespaceURI;
const NONE = "–";

// An element: h("td", {class: "soft"}, child, ...); attributes may be left out, children nested.
const h = (tag, ...rest) => fill(document.createElement(tag), rest);
const s = (tag, ...rest) => fill(document.createElementNS(SVG, tag), rest);

function fill(node, rest) {
  const given = rest[0] && Object.getPrototypeOf(rest[0]) === Object.prototype;
  const [attributes, ...children] = given ? rest : [{}, ...rest];
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style")
      for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  const there = children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== "");
  node.append(...there.map((child) => (child instanceof Node ? child : String(child))));
  return node;
}

const soft = (...children) => h("span", { class: "soft" }, ...children);
const pressed = (onclick, attributes, ...children) =>
  h("button", { type: "button", class: "quiet", onclick, ...attributes }, ...children);

const known = (x) => typeof x === "number" && Number.isFinite(x);
const unique = (values) => [...new Set(values)];

function mean(values) {
  const there = values.filter(known);
  return there.length ? there.reduce((sum, x) => sum + x, 0) / there.length : null;
}

// For axes and for means over what the filters leave; every other number comes as text.
const percent = (x, digits = 1) =>
  known(x) ? (100 * x).toFixed(digits).replace("-", "−") : NONE;
const signed = (x, digits = 1) => {
  const text = percent(x, digits);
  return x > 0 && Number(text) !== 0 ? `+${text}` : text.replace(/^−(0\.?0*)$/, "$1");
};
const count = (x) => (known(x) ? Math.round(x).toLocaleString("en") : NONE);
const many = (n, one) => `${count(n)} ${one}${n === 1 ? "" : "s"}`;
const labelCount = (n) => (n === 0 ? "all" : count(n));
const title = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");
const cut = (text, most) =>
  String(text).length > most ? `${String(text).slice(0, most - 1)}…` : String(text);

// A button that copies a command; where a browser doesn't allow that, it selects the text.
function copyable(text) {
  const code = h("code", { tabindex: 0 }, text);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  const button = pressed(copy, { "aria-label": `Copy: ${text}` }, "Copy");
  return h("div", { class: "command" }, code, button);
}
