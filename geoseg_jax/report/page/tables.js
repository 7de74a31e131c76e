// The two tables: arms by conditions at a glance, and every comparison with the runs behind it.

const strongest = (items) => Math.max(0.001, ...items.map((x) => Math.abs(x)).filter(known));

// Tints of a difference: blue is more than the reference, orange less; numbers stay readable.
const tint = (x, most) => {
  if (!known(x)) return {};
  const share = Math.round(42 * Math.min(1, Math.abs(x) / most));
  const colour = x > 0 ? "--more" : "--less";
  return { background: `color-mix(in oklab, var(${colour}) ${share}%, transparent)` };
};

const certain = (g) => known(g.p_corrected) && g.p_corrected < 0.05;
const bestOf = (of) => Math.max(...of.map((g) => g.mean).filter(known));

function wide(table, label) {
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, table);
}

function byGain(of) {
  const gain = (arm) =>
    mean(
      of.filter((g) => g.arm === arm.name).map((g) => (arm.name === reference ? 0 : g.difference)),
    );
  return shownArms()
    .filter((arm) => of.some((g) => g.arm === arm.name))
    .sort((a, b) => (gain(b) ?? -Infinity) - (gain(a) ?? -Infinity));
}

function glance() {
  const shown = groups.filter(shows);
  const order = [...besides, ...("labels" in values ? ["labels"] : [])];
  const conditions = lots(shown, order);
  const most = strongest(shown.map((g) => g.difference));
  const notes = footnotes();
  const head = [
    h(
      "tr",
      {},
      h("th", { scope: "col", rowspan: 2 }, "Arm"),
      lots(shown, besides).map((lot) =>
        h(
          "th",
          { scope: "colgroup", class: "lot", colspan: lots(lot, order).length },
          named(lot[0], besides) || metric,
        ),
      ),
    ),
    h(
      "tr",
      {},
      conditions.map((of, i) =>
        h(
          "th",
          { scope: "col", class: starts(conditions, i) ? "first" : null },
          "labels" in values ? word("labels", of[0].labels) : metric,
        ),
      ),
    ),
  ];
  const body = byGain(shown).map((arm) =>
    ofArm(
      arm,
      h,
      "tr",
      { class: arm.name === reference ? "reference" : null },
      h(
        "th",
        { scope: "row" },
        h(
          "div",
          { class: "named" },
          armName(arm),
          notes.flag(arm.warning, ...shown.filter((g) => g.arm === arm.name).map((g) => g.warning)),
        ),
        arm.name === reference ? h("small", {}, "reference") : null,
      ),
      conditions.map((of, i) =>
        glanceCell(
          of.find((g) => g.arm === arm.name),
          of,
          most,
          starts(conditions, i),
        ),
      ),
    ),
  );
  const table = h("table", { class: "glance" }, h("thead", {}, head), h("tbody", {}, body));
  return h("div", {}, wide(table, "Arms by conditions"), notes.list());
}

const starts = (conditions, i) =>
  i === 0 || key(conditions[i][0], besides) !== key(conditions[i - 1][0], besides);

function glanceCell(g, of, most, first) {
  if (!g || !known(g.mean))
    return h("td", { class: first ? "first" : null }, h("span", { class: "soft" }, "no runs"));
  const label = `${armOf[g.arm].label}, ${named(g)}: ${metric} ${percent(g.mean)} %. Show its runs`;
  const button = h(
    "button",
    {
      type: "button",
      class: g.mean === bestOf(of) ? "number best" : "number",
      "aria-label": label,
    },
    percent(g.mean),
  );
  button.addEventListener("click", () => unfold(key(g) + g.arm, true));
  const deviation = known(g.std) ? h("span", { class: "soft" }, ` ± ${percent(g.std)}`) : null;
  const below = known(g.difference)
    ? [
        h("b", {}, signed(g.difference)),
        certain(g) ? " ●" : "",
        h("br"),
        h("span", { class: "soft" }, interval(g.difference_low, g.difference_high, signed)),
      ]
    : h("span", { class: "soft" }, g.arm === reference ? "" : "no pairs");
  const cell = h(
    "td",
    { class: first ? "first" : null, style: tint(g.difference, most) },
    button,
    deviation,
    h("div", { class: "below" }, below),
  );
  cell.addEventListener("pointermove", (e) => {
    lookAt(armOf[g.arm]);
    showTip(
      e.clientX,
      e.clientY,
      `${armOf[g.arm].label}, ${named(g)}`,
      [...summary(g), ["p, corrected", chance(g.p_corrected)]],
      armOf[g.arm],
    );
  });
  cell.addEventListener("pointerleave", () => (lookAt(null), hideTip()));
  return cell;
}

// What can be told with so few runs; a reader should know it before looking for stars.
function attainable() {
  const compared = groups.filter((g) => known(g.p) && g.n_pairs > 0);
  if (!compared.length) return "";
  const pairs = Math.max(...compared.map((g) => g.n_pairs));
  const least = 2 ** (1 - pairs);
  const corrected = Math.min(1, least * compared.length);
  if (corrected <= 0.05) return "";
  return [
    `With at most ${many(pairs, "pair")} in a comparison the smallest p that the test can`,
    `give is ${chance(least)}, and correction for ${many(compared.length, "comparison")}`,
    `makes that ${chance(corrected)}: no single difference can be called significant here,`,
    "however large.",
  ].join(" ");
}

const COLUMNS = [
  { by: "arm", name: "Arm", value: (g) => armOf[g.arm].label },
  { by: "mean", name: `${metric}, % ± std`, value: (g) => g.mean },
  { by: "difference", name: `Difference to ${referenceLabel}, points`, value: (g) => g.difference },
  { by: "p_corrected", name: "p, corrected", value: (g) => g.p_corrected },
  { by: "n", name: "Runs", value: (g) => g.n },
  { by: "steps_to_reference", name: "Steps to equal it", value: (g) => g.steps_to_reference },
];

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

function comparisons() {
  const shown = groups.filter(shows);
  const notes = footnotes();
  const ends = shown
    .flatMap((g) => [g.difference, g.difference_low, g.difference_high])
    .filter(known);
  const bounds = ticks(Math.min(0, ...ends), Math.max(0, ...ends), 4);
  const x = scale("linear", [bounds[0], bounds[bounds.length - 1]], [18, 222]);
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
    h(
      "th",
      { scope: "row" },
      h("div", { class: "named" }, toggle, armName(arm), notes.flag(g.warning, arm.warning)),
    ),
    h(
      "td",
      {},
      h("span", { class: known(g.mean) && g.mean === bestOf(of) ? "best" : null }, percent(g.mean)),
      known(g.std) ? h("span", { class: "soft" }, ` ± ${percent(g.std)}`) : null,
    ),
    h(
      "td",
      {},
      known(g.difference)
        ? [
            signed(g.difference),
            h(
              "span",
              { class: "soft" },
              ` (${interval(g.difference_low, g.difference_high, signed)})`,
            ),
          ]
        : h("span", { class: "soft" }, g.arm === reference ? "reference" : "no pairs"),
    ),
    h("td", { class: "ruler" }, forest(g, arm, bounds, x)),
    h("td", { class: certain(g) ? "best" : null }, chance(g.p_corrected)),
    h(
      "td",
      {},
      count(g.n),
      g.n_missing ? h("span", { class: "soft" }, `, ${g.n_missing} lost`) : null,
    ),
    h("td", {}, count(g.steps_to_reference)),
  );
  const runs = h(
    "tr",
    { class: "runs", hidden: !view.unfolded.has(name), "data-runs": name },
    h("td", { colspan: COLUMNS.length + 1 }),
  );
  if (view.unfolded.has(name)) runs.firstChild.append(runsTable(g));
  return [row, runs];
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
    known(g.difference) ? mark(arm, x(g.difference), 16, { r: 4.6, hollow: !certain(g) }) : null,
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
    return h("p", { class: "soft" }, "The study holds no single runs of this number.");
  const [accuracy, command] = [of.some((r) => known(r.pixel_accuracy)), of.some((r) => r.command)];
  const names = [
    "Subset",
    "Seed",
    `${metric}, %`,
    accuracy ? "Pixel accuracy, %" : null,
    "Time",
    "Status",
    command ? "Command" : null,
  ];
  return h(
    "table",
    { class: "single" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        names.filter(Boolean).map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    h(
      "tbody",
      {},
      of.map((r) =>
        h(
          "tr",
          {},
          h("td", {}, r.subset ?? NONE),
          h("td", {}, r.seed ?? NONE),
          h("td", {}, percent(r[metricKey], 2)),
          accuracy ? h("td", {}, percent(r.pixel_accuracy, 2)) : null,
          h("td", {}, duration(r.seconds)),
          h(
            "td",
            { class: r.status === "done" ? null : "bad" },
            r.status ?? NONE,
            r.error ? `: ${r.error}` : "",
          ),
          command ? h("td", {}, r.command ? copyable(r.command) : NONE) : null,
        ),
      ),
    ),
  );
}
