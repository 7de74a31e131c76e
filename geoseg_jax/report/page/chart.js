// The drawing of charts: scales, axes, marks, and the hover of mouse, finger and arrow keys.

function scale(kind, [a, b], [p, q]) {
  const f = kind === "log2" ? Math.log2 : (v) => v;
  const [from, to] = [f(a), f(b)];
  return (v) => (to === from ? (p + q) / 2 : p + ((f(v) - from) / (to - from)) * (q - p));
}

// Round numbers that span low to high in about `wanted` steps.
function ticks(low, high, wanted = 5) {
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= raw * 0.999);
  const [first, last] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  return Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}

// A range that holds the values with some air, and the round numbers within it.
function span(values, wanted) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const air = 0.05 * (high - low) || 0.05;
  const range = [Math.max(Math.min(0, low), low - air), high + air];
  return { range, at: ticks(...range, wanted).filter((v) => v >= range[0] && v <= range[1]) };
}

// Closed lines through points [x, y] of a circle's radius 1, made larger by r.
const through = (points) => (r) => `M${points.map(([x, y]) => `${r * x},${r * y}`).join("L")}Z`;
const around = (n, radii, turn = 0) =>
  through(
    Array.from({ length: n }, (_, i) => {
      const [radius, angle] = [radii[i % radii.length], (2 * (i + turn) * Math.PI) / n];
      return [radius * Math.sin(angle), -radius * Math.cos(angle)];
    }),
  );

// All of about one area: circle, square, diamond, triangles, cross, hexagon, star.
const SHAPES = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`,
  around(4, [1.25], 0.5),
  around(4, [1.25]),
  around(3, [1.3]),
  around(3, [1.3], 1.5),
  around(12, [1.27, 0.59, 1.27], 0.5), // four arms, with a corner between every two
  around(6, [1.15]),
  around(10, [1.4, 0.62]),
];

function mark(arm, x, y, { r = 4.5, hollow = false } = {}) {
  return s("path", {
    d: SHAPES[arm.shape](r),
    transform: `translate(${x},${y})`,
    class: hollow ? "mark hollow" : "mark",
  });
}

// A group that carries an arm's colour, and dims while another arm is looked at.
const ofArm = (arm, tag = s, name = "g", attributes = {}, ...children) =>
  tag(name, { "data-arm": arm.index, style: { "--c": arm.colour }, ...attributes }, ...children);

const BADGE = { class: "badge", viewBox: "-7 -7 14 14", width: 13, height: 13 };
const badge = (arm) =>
  s("svg", { ...BADGE, "aria-hidden": "true", style: { "--c": arm.colour } }, mark(arm, 0, 0));

const namedArm = (arm, name, flag = null) =>
  h("span", { class: "arm" }, badge(arm), h("span", name, flag));
const armName = (arm, flag = null) => namedArm(arm, arm.label, flag);

function lookAt(arm) {
  document.body.classList.toggle("looking", Boolean(arm));
  for (const node of document.querySelectorAll("[data-arm]")) {
    node.classList.toggle("looked-at", Boolean(arm) && Number(node.dataset.arm) === arm.index);
  }
}

const tip = document.getElementById("tip");

// facts: [[name, value], ...]; x and y are where on the window it points.
function showTip(x, y, heading, facts, arm = null) {
  const list = h("dl", facts.map(([name, value]) => [h("dt", name), h("dd", value)]));
  tip.replaceChildren(h("p", arm ? badge(arm) : null, heading), list);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const right = x + 16 + width < innerWidth - 4 ? x + 16 : x - 16 - width;
  const below = y + 14 + height < innerHeight - 4 ? y + 14 : y - 14 - height;
  tip.style.left = `${Math.max(4, Math.min(right, innerWidth - width - 4))}px`;
  tip.style.top = `${Math.max(4, below)}px`;
}

function hideTip() {
  tip.hidden = true;
}

// What a pointer opened last, and what closes it.
let opened = null;

// Shows what an element has to say where a mouse hovers or a finger taps.
function explain(element, show, close = () => (lookAt(null), hideTip())) {
  const open = (event) => {
    opened = { element, close };
    show(event);
  };
  element.addEventListener("pointermove", open);
  element.addEventListener("pointerdown", open);
  // A finger leaves as soon as it is lifted: what it opened stays until it touches elsewhere.
  element.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch" && opened) closeOpened();
  });
  return element;
}

document.addEventListener(
  "pointerdown",
  (event) => opened && !opened.element.contains(event.target) && closeOpened(),
  true,
);
addEventListener("scroll", () => opened && closeOpened(), { passive: true });

function closeOpened() {
  const { close } = opened;
  opened = null;
  close();
}

// Hover for points {x, y, arm, column, heading, facts} of a picture: the nearest to the pointer,
// or by arrow keys.
function explore(picture, points) {
  const ring = s("circle", { r: 8, class: "ring", visibility: "hidden" });
  picture.append(ring);
  let at = null;
  // Where on the window the picture's points are.
  const onWindow = () => {
    const box = picture.getBoundingClientRect();
    const ratio = box.width / picture.viewBox.baseVal.width;
    return (p) => [box.left + p.x * ratio, box.top + p.y * ratio];
  };
  const show = (point) => {
    at = point;
    fill(ring, [{ cx: point.x, cy: point.y, visibility: "visible" }]);
    lookAt(point.arm);
    showTip(...onWindow()(point), point.heading, point.facts, point.arm);
  };
  const leave = () => {
    ring.setAttribute("visibility", "hidden");
    lookAt(null);
    hideTip();
  };
  const track = (event) => {
    const place = onWindow();
    const far = (p) => {
      const [x, y] = place(p);
      return Math.hypot(x - event.clientX, y - event.clientY);
    };
    const [nearest] = points.toSorted((a, b) => far(a) - far(b));
    if (nearest && far(nearest) < 48) show(nearest);
    else leave();
  };
  explain(picture, track, leave);
  picture.addEventListener("blur", leave);
  picture.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return leave();
    const next = step(points, at, event.key);
    if (!next) return undefined;
    event.preventDefault();
    return show(next);
  });
  if (points.length) picture.setAttribute("tabindex", 0);
  return picture;
}

// Left and right go along an arm, up and down to the arm next to it at the same place.
function step(points, at, pressed) {
  if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(pressed)) return null;
  if (!at || !points.includes(at)) return points[0];
  const along = pressed === "ArrowLeft" || pressed === "ArrowRight";
  const line = points.filter((p) => (along ? p.arm === at.arm : p.column === at.column));
  line.sort((a, b) => (along ? a.x - b.x : a.y - b.y));
  const by = pressed === "ArrowRight" || pressed === "ArrowDown" ? 1 : -1;
  return line[Math.max(0, Math.min(line.length - 1, line.indexOf(at) + by))];
}

// Heights of labels, moved apart as little as that takes, in the same order.
function spread(wanted, gap, low, high) {
  const order = wanted.map((y, i) => [y, i]).sort((a, b) => a[0] - b[0]);
  const placed = [];
  order.forEach(([y], k) => placed.push(Math.max(y, low, k ? placed[k - 1] + gap : low)));
  for (let k = placed.length - 1; k >= 0; k--) {
    placed[k] = Math.min(placed[k], k === placed.length - 1 ? high : placed[k + 1] - gap);
  }
  const found = [];
  order.forEach(([, i], k) => (found[i] = placed[k]));
  return found;
}

// The empty frame of a chart: grid, ticks with their words, titles of the axes.
function frame({ width, height, margin, x, y, label, ...axes }) {
  const [bottom, right] = [height - margin.bottom, width - margin.right];
  const line = (x1, x2, y1, y2, kind) => s("line", { x1, x2, y1, y2, class: kind });
  const words = (x, y, kind, text, dy = null) => s("text", { x, y, dy, class: kind }, text);
  const size = { viewBox: `0 0 ${width} ${height}`, width, height };
  return s("svg", { ...size, class: "chart", role: "img", "aria-label": label }, [
    axes.yTicks.map((v) => line(margin.left, right, y(v), y(v), "grid")),
    axes.yTicks.map((v) => words(margin.left - 7, y(v), "tick end", axes.yWord(v), "0.34em")),
    line(margin.left, right, bottom, bottom, "axis"),
    axes.xTicks.map((v) => line(x(v), x(v), bottom, bottom + 4, "axis")),
    axes.xTicks.map((v) => words(x(v), bottom + 17, "tick middle", axes.xWord(v))),
    words(0, 11, "axis-title", axes.yTitle),
    words(right, bottom + 33, "axis-title end", axes.xTitle),
  ]);
}
