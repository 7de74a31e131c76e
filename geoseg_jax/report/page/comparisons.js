// Tables of differences with their intervals: over all conditions, and every comparison by itself.

const COLUMNS = [
  { by: "arm", name: "Arm", value: (g) => armOf[g.arm].label },
  { by: "mean", name: `${metric}, % ± std`, value: (g) => g.mean },
  { by: "difference", name: `Difference to ${referenceLabel} (95 % CI)`, value: (g) => g.difference },
  { by: "p_corrected", name: "Corrected p", value: (g) => g.p_corrected },
  { by: "n", name: "Runs", value: (g) => g.n },
  { by: "steps", name: `Steps, × ${referenceLabel}`, value: (g) => (g.steps || {}).ratio },
];
if (text.goal) {
  COLUMNS.push({ by: "steps_to_goal", name: `Steps to ${text.goal}`, value: (g) => g.steps_to_goal });
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
  const column = ({ row }) =>
    row
      ? h("td", { class: "ruler" }, forest(row, armOf[row.arms[0]], bounds, x))
      : h("td", { class: "ruler" }, ruler(bounds, x));
  return madeTable(name, of, { kind: "comparisons overall", at: 3, column });
}

function comparisons() {
  const shown = groups.filter(shows);
  const notes = footnotes();
  const [bounds, x] = axis(shown);
  const head = h(
    "tr",
    {},
    COLUMNS.map((column) => [
      h(
        "th",
        {
          scope: "col",
          "aria-sort":
            view.sort.by === column.by ? (view.sort.down ? "descending" : "ascending") : null,
        },
        sorter(column),
      ),
      column.by === "difference"
        ? h("th", { scope: "col", class: "ruler" }, ruler(bounds, x))
        : null,
    ]),
  );
  const bodies = lots(shown, varying).map((of) =>
    h(
      "tbody",
      {},
      h(
        "tr",
        { class: "condition" },
        h("th", { scope: "rowgroup", colspan: COLUMNS.length + 1 }, named(of[0]) || "All runs"),
      ),
      sorted(of).map((g) => comparison(g, of, bounds, x, notes)),
    ),
  );
  const table = h("table", { class: "comparisons" }, h("thead", {}, head), bodies);
  return h("div", {}, wide(table, "Every comparison"), notes.list());
}

function sorter({ by, name }) {
  const now = view.sort.by === by;
  const button = h(
    "button",
    { type: "button", class: "sorter", "data-sort": by },
    name,
    h("span", { "aria-hidden": "true" }, now ? (view.sort.down ? " ↓" : " ↑") : ""),
  );
  button.addEventListener("click", () => {
    view.sort = { by, down: now ? !view.sort.down : by !== "arm" && by !== "p_corrected" };
    draw("comparisons");
    document.querySelector(`[data-sort="${by}"]`).focus();
  });
  return button;
}

function ruler(bounds, x) {
  return s(
    "svg",
    { viewBox: "0 0 240 16", width: 240, height: 16, "aria-hidden": "true" },
    bounds.map((v) => s("text", { x: x(v), y: 12, class: "tick middle" }, signed(v, 0))),
  );
}

function comparison(g, of, bounds, x, notes) {
  const arm = armOf[g.arm];
  const name = key(g) + g.arm;
  const toggle = h("button", {
    type: "button",
    class: "fold",
    "data-fold": name,
    "aria-expanded": view.unfolded.has(name),
    "aria-label": `Runs of ${arm.label}, ${named(g)}`,
  });
  toggle.addEventListener("click", () => unfold(name));
  const row = ofArm(
    arm,
    h,
    "tr",
    { class: g.arm === reference ? "reference" : null },
    h("th", { scope: "row" }, h("div", { class: "named" }, toggle, armName(arm))),
    h(
      "td",
      {},
      h("span", { class: known(g.mean) && g.mean === bestOf(of) ? "best" : null }, g.text.mean),
      h("span", { class: "soft" }, g.text.std),
      notes.flag(g.score_marks),
    ),
    h("td", {}, differenceOf(g), notes.flag(g.difference_marks)),
    h("td", { class: "ruler" }, forest(g, arm, bounds, x)),
    h("td", { class: g.certain ? "best" : null }, g.text.p),
    h("td", {}, runsDone(g)),
    h("td", {}, g.steps && g.steps.shown ? h("b", {}, g.text.steps) : unshown(g.text.steps)),
    text.goal ? h("td", {}, g.text.goal) : null,
  );
  const runs = h(
    "tr",
    { class: "runs", hidden: !view.unfolded.has(name), "data-runs": name },
    h("td", { colspan: COLUMNS.length + 1 }),
  );
  if (view.unfolded.has(name)) runs.firstChild.append(runsTable(g));
  return [row, runs];
}

// "4", "3 of 4" where runs are lost, and how many pairs are left where a pair lacks a side.
function runsDone(g) {
  const planned = g.n_planned ?? g.n;
  const pairs = g.n_missing ? h("span", { class: "soft" }, `, ${many(g.n_pairs, "pair")}`) : null;
  return [count(g.n), planned > g.n ? ` of ${count(planned)}` : null, pairs];
}

const unshown = (multiple) =>
  h("span", { class: "soft", title: multiple }, multiple.replace(/ \(.*/, ""));

function differenceOf(g) {
  if (!known(g.difference)) {
    return h("span", { class: "soft" }, g.arm === reference ? "reference" : "no pairs");
  }
  const ci = g.text.difference_ci;
  return [g.text.difference, ci ? h("span", { class: "soft" }, ` (${ci})`) : null];
}

function forest(g, arm, bounds, x) {
  const whiskers = known(g.difference_low) && known(g.difference_high);
  return s(
    "svg",
    {
      viewBox: "0 0 240 32",
      width: 240,
      height: 32,
      class: "forest",
      "aria-hidden": "true",
      style: { "--c": arm.colour },
    },
    bounds.map((v) =>
      s("line", { x1: x(v), x2: x(v), y1: 0, y2: 32, class: v === 0 ? "zero" : "grid" }),
    ),
    whiskers
      ? s("line", {
          x1: x(g.difference_low),
          x2: x(g.difference_high),
          y1: 16,
          y2: 16,
          class: "whisker",
        })
      : null,
    known(g.difference) ? mark(arm, x(g.difference), 16, { r: 4.6, hollow: !g.certain }) : null,
  );
}

// Shows the runs behind a number, or hides them; asked for from the first table it goes there.
function unfold(name, go = false) {
  const toggle = [...document.querySelectorAll("[data-fold]")].find(
    (node) => node.dataset.fold === name,
  );
  const runs = [...document.querySelectorAll("[data-runs]")].find(
    (node) => node.dataset.runs === name,
  );
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

function runsTable(g) {
  const of = runsOf(g);
  if (!of.length)
    return h("p", { class: "soft" }, "There are no single runs of this number.");
  const [accuracy, command] = [of.some((r) => known(r.pixel_accuracy)), of.some((r) => r.command)];
  const names = [
    "Subset",
    "Seed",
    "Pre-training seed",
    `${metric}, %`,
    accuracy ? "Pixel accuracy, %" : null,
    "Time",
    "Status",
    command ? "Command" : null,
  ];
  const body = of.map((r) =>
    h(
      "tr",
      {},
      h("td", {}, r.subset ?? NONE),
      h("td", {}, r.seed ?? NONE),
      h("td", {}, r.pretraining_seed ?? NONE),
      h("td", {}, r.text.score),
      accuracy ? h("td", {}, r.text.accuracy) : null,
      h("td", {}, r.text.seconds),
      h(
        "td",
        { class: r.status === "done" ? null : "bad" },
        r.status ?? NONE,
        r.error ? `: ${r.error}` : "",
      ),
      command ? h("td", {}, r.command ? copyable(r.command) : NONE) : null,
    ),
  );
  return tableOf(names.filter(Boolean), body, "single");
}
