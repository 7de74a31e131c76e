// Tables of differences with their intervals: over all conditions, and every comparison by itself.

const againstReference = `Difference to ${referenceLabel} (95 % CI)`;
const COLUMNS = [
  { by: "arm", name: "Arm", value: (g) => armOf[g.arm].label },
  { by: "mean", name: `${metric}, % ± std`, value: (g) => g.mean },
  { by: "difference", name: againstReference, value: (g) => g.difference },
  { by: "p_corrected", name: "Corrected p", value: (g) => g.p_corrected },
  { by: "n", name: "Runs", value: (g) => g.n },
  { by: "steps", name: `Steps, × ${referenceLabel}`, value: (g) => (g.steps || {}).ratio },
];
if (text.goal) {
  const value = (g) => g.steps_to_goal;
  COLUMNS.push({ by: "steps_to_goal", name: `Steps to ${text.goal}`, value });
}

function sorted(of) {
  const { value } = COLUMNS.find((column) => column.by === view.sort.by);
  const sign = view.sort.down ? -1 : 1;
  return [...of].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y || (!known(x) && !known(y) && typeof x !== "string"))
      return armOf[a.arm].index - armOf[b.arm].index;
    if (typeof x === "string") return sign * x.localeCompare(y);
    return !known(x) ? 1 : !known(y) ? -1 : sign * (x - y);
  });
}

// Round numbers around all differences and 0, and where a difference stands among them.
function axis(of) {
  const ends = of.flatMap((g) => [g.difference, g.difference_low, g.difference_high]).filter(known);
  const bounds = ticks(Math.min(0, ...ends), Math.max(0, ...ends), 4);
  return [bounds, scale("linear", [bounds[0], bounds[bounds.length - 1]], [18, 222])];
}

// Verdicts on arms, or on the contrasts that the study was asked for, with their intervals drawn.
function verdicts(name) {
  const of = shownRows(name).filter((row) => known(row.difference));
  if (name === "overall") of.sort((a, b) => b.difference - a.difference);
  const [bounds, x] = axis(of);
  const drawn = (row) => (row ? forest(row, armOf[row.arms[0]], bounds, x) : ruler(bounds, x));
  const column = (row) => h("td", { class: "ruler" }, drawn(row));
  return madeTable(name, of, { kind: "comparisons overall", at: 3, column });
}

function comparisons() {
  const shown = groups.filter(shows);
  const notes = footnotes();
  const [bounds, x] = axis(shown);
  const heads = COLUMNS.map((column) => {
    const down = view.sort.down ? "descending" : "ascending";
    const order = view.sort.by === column.by ? down : null;
    const head = h("th", { scope: "col", "aria-sort": order }, sorter(column));
    const drawn = h("th", { scope: "col", class: "ruler" }, ruler(bounds, x));
    return column.by === "difference" ? [head, drawn] : head;
  });
  const bodies = lots(shown, varying).map((of) => {
    const width = { scope: "rowgroup", colspan: COLUMNS.length + 1 };
    const condition = h("tr", { class: "condition" }, h("th", width, named(of[0]) || "All runs"));
    return h("tbody", condition, sorted(of).map((g) => comparison(g, of, bounds, x, notes)));
  });
  const table = h("table", { class: "comparisons" }, h("thead", h("tr", heads)), bodies);
  return h("div", wide(table, "Every comparison"), notes.list());
}

function sorter({ by, name }) {
  const now = view.sort.by === by;
  const sort = () => {
    view.sort = { by, down: now ? !view.sort.down : by !== "arm" && by !== "p_corrected" };
    draw("comparisons");
    document.querySelector(`[data-sort="${by}"]`).focus();
  };
  const arrow = now ? (view.sort.down ? " ↓" : " ↑") : "";
  const hidden = h("span", { "aria-hidden": "true" }, arrow);
  return pressed(sort, { class: "sorter", "data-sort": by }, name, hidden);
}

function comparison(g, of, bounds, x, notes) {
  const arm = armOf[g.arm];
  const name = key(g) + g.arm;
  const open = view.unfolded.has(name);
  const toggle = pressed(() => unfold(name), {
    class: "fold",
    "data-fold": name,
    "aria-expanded": String(open),
    "aria-label": `Runs of ${arm.label}, ${named(g)}`,
  });
  const best = known(g.mean) && g.mean === bestOf(of) ? "best" : null;
  const row = ofArm(arm, h, "tr", { class: g.arm === reference ? "reference" : null }, [
    h("th", { scope: "row" }, h("div", { class: "named" }, toggle, armName(arm))),
    h("td", h("span", { class: best }, g.text.mean), soft(g.text.std), notes.flag(g.score_marks)),
    h("td", differenceOf(g), notes.flag(g.difference_marks)),
    h("td", { class: "ruler" }, forest(g, arm, bounds, x)),
    h("td", { class: g.certain ? "best" : null }, g.text.p),
    h("td", g.text.runs),
    h("td", g.steps && g.steps.shown ? h("b", g.text.steps) : unshown(g.text.steps)),
    text.goal ? h("td", g.text.goal) : null,
  ]);
  const cell = h("td", { colspan: COLUMNS.length + 1 }, open ? runsTable(g) : null);
  return [row, h("tr", { class: "runs", hidden: !open, "data-runs": name }, cell)];
}

const unshown = (multiple) =>
  h("span", { class: "soft", title: multiple }, multiple.replace(/ \(.*/, ""));

function differenceOf(g) {
  if (!known(g.difference)) return soft(g.arm === reference ? "reference" : "no pairs");
  return [g.text.difference, g.text.difference_ci ? soft(` (${g.text.difference_ci})`) : null];
}

const strip = (height, attributes, ...children) =>
  s("svg", { viewBox: `0 0 240 ${height}`, width: 240, height, ...attributes }, ...children);

const ruler = (bounds, x) =>
  strip(
    16,
    { "aria-hidden": "true" },
    bounds.map((v) => s("text", { x: x(v), y: 12, class: "tick middle" }, signed(v, 0))),
  );

function forest(g, arm, bounds, x) {
  const line = (from, to, y1, y2, kind) =>
    s("line", { x1: x(from), x2: x(to), y1, y2, class: kind });
  return strip(32, { class: "forest", "aria-hidden": "true", style: { "--c": arm.colour } }, [
    bounds.map((v) => line(v, v, 0, 32, v === 0 ? "zero" : "grid")),
    known(g.difference_low) ? line(g.difference_low, g.difference_high, 16, 16, "whisker") : null,
    known(g.difference) ? mark(arm, x(g.difference), 16, { r: 4.6, hollow: !g.certain }) : null,
  ]);
}

// Shows the runs behind a number, or hides them; asked for from the first table it goes there.
function unfold(name, go = false) {
  const find = (kind) =>
    [...document.querySelectorAll(`[data-${kind}]`)].find((node) => node.dataset[kind] === name);
  const [toggle, runs] = [find("fold"), find("runs")];
  if (!toggle) return;
  const open = go || !view.unfolded.has(name);
  view.unfolded[open ? "add" : "delete"](name);
  toggle.setAttribute("aria-expanded", open);
  runs.hidden = !open;
  runs.firstChild.replaceChildren(...(open ? [runsTable(groupOf[name])] : []));
  if (go) {
    toggle.closest("tr").scrollIntoView({ block: "center" });
    toggle.focus({ preventScroll: true });
  }
}

const REPLICATE = ["subset", "seed", "pretraining_seed"];
const REPLICATE_HEADS = ["Subset", "Seed", "Pre-training seed"];
const replicateOf = (run) => REPLICATE.map((name) => h("td", run[name] ?? NONE));

function runsTable(g) {
  const of = runsOf(g);
  if (!of.length) return h("p", { class: "soft" }, "There are no single runs of this number.");
  const [accuracy, command] = [of.some((r) => known(r.pixel_accuracy)), of.some((r) => r.command)];
  const heads = [...REPLICATE_HEADS, `${metric}, %`, accuracy ? "Pixel accuracy, %" : null];
  heads.push("Time", "Status", command ? "Command" : null);
  const body = of.map((r) =>
    h("tr", replicateOf(r), h("td", r.text.score), accuracy ? h("td", r.text.accuracy) : null, [
      h("td", r.text.seconds),
      h("td", { class: r.status === "done" ? null : "bad" }, r.status, r.error && `: ${r.error}`),
      command ? h("td", r.command ? copyable(r.command) : NONE) : null,
    ]),
  );
  return tableOf(heads.filter(Boolean), body, "single");
}
