// The table of arms by conditions, and what all tables share.

// Columns of words, which stand to the left.
const TEXTS = new Set(["Verdict", "Config", "Number", "Starts from", "Condition", "Status", "Error"]);

const strongest = (items) => Math.max(0.001, ...items.map((x) => Math.abs(x)).filter(known));

// Tints of a difference: blue is more than the reference, orange less; numbers stay readable.
const tint = (x, most) => {
  if (!known(x)) return {};
  const share = Math.round(42 * Math.min(1, Math.abs(x) / most));
  const colour = x > 0 ? "--more" : "--less";
  return { background: `color-mix(in oklab, var(${colour}) ${share}%, transparent)` };
};

const bestOf = (of) => Math.max(...of.map((g) => g.mean).filter(known));

function wide(table, label) {
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, table);
}

// A table under one row of headings: texts, or cells that are made already. kind: its class.
function tableOf(heads, rows, kind) {
  const head = (it) =>
    it instanceof Node ? it : h("th", { scope: "col", class: TEXTS.has(it) ? "text" : null }, it);
  return h(
    "table",
    { class: kind },
    h("thead", {}, h("tr", {}, heads.map(head))),
    h("tbody", {}, rows),
  );
}

// The rows of a table that came as text, of the arms that are shown.
const shownRows = (name) =>
  ((study.tables || {})[name] || { rows: [] }).rows.filter(({ arms }) =>
    arms.every((arm) => shows({ arm })),
  );

// A table that came as text: {header, rows: [{arms, cells: [{text, marks, bold}]}]}; `column` draws
// one more at the place `at`, for a row or for the headings.
function madeTable(name, of, { kind = "making", at = 0, column = null } = {}) {
  if (!of.length) return null;
  const notes = footnotes();
  const { header, caption } = study.tables[name];
  const heads = header.map((name) => (name === "p" ? name : title(name)));
  const insert = (cells, row) => (column ? cells.splice(at, 0, column({ row })) : null, cells);
  const cell = ({ text, bold }, i) => {
    const side = TEXTS.has(heads[i]) ? "text" : "";
    return h("td", { class: `${side} ${bold ? "best" : ""}`.trim() || null }, text);
  };
  const body = of.map((row) => {
    const arm = armOf[row.arms[0]];
    const [first, ...others] = row.cells;
    const named = h(
      "th",
      { scope: "row" },
      h("span", { class: "arm" }, badge(arm), h("span", {}, first.text, notes.flag(first.marks))),
    );
    return ofArm(arm, h, "tr", {}, insert([named, ...others.map((one, i) => cell(one, i + 1))], row));
  });
  return h("div", {}, wide(tableOf(insert(heads, null), body, kind), caption), notes.list());
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
  const body = byGain(shown).map((arm) =>
    ofArm(
      arm,
      h,
      "tr",
      { class: arm.name === reference ? "reference" : null },
      h(
        "th",
        { scope: "row" },
        armName(arm),
        arm.name === reference ? h("small", {}, "reference") : null,
      ),
      conditions.map((of, i) =>
        glanceCell(
          of.find((g) => g.arm === arm.name),
          of,
          most,
          starts(conditions, i),
          notes,
        ),
      ),
    ),
  );
  const table = h(
    "table",
    { class: "glance" },
    h("thead", {}, glanceHead(shown, order, conditions)),
    h("tbody", {}, body),
  );
  return h("div", {}, wide(table, "Arms by conditions"), notes.list());
}

function glanceHead(shown, order, conditions) {
  return [
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
}

const starts = (conditions, i) =>
  i === 0 || key(conditions[i][0], besides) !== key(conditions[i - 1][0], besides);

function glanceCell(g, of, most, first, notes) {
  const place = { class: first ? "first" : null };
  const none = (what) => h("span", { class: "soft" }, what);
  if (!g) return h("td", place, none("no runs"));
  const flag = notes.flag(g.score_marks);
  if (!known(g.mean)) return h("td", place, none("no runs"), flag);
  const label = `${armOf[g.arm].label}, ${named(g)}: ${metric} ${g.text.mean} %. Show its runs`;
  const button = h(
    "button",
    {
      type: "button",
      class: g.mean === bestOf(of) ? "number best" : "number",
      "aria-label": label,
    },
    g.text.mean,
  );
  button.addEventListener("click", () => unfold(key(g) + g.arm, true));
  const below = known(g.difference)
    ? [
        h("b", {}, g.text.difference),
        g.certain ? " ●" : "",
        notes.flag(g.difference_marks),
        h("br"),
        h("span", { class: "soft" }, g.text.difference_ci),
      ]
    : [g.arm === reference ? null : none("no pairs"), notes.flag(g.difference_marks)];
  const cell = h(
    "td",
    { ...place, style: tint(g.difference, most) },
    button,
    h("span", { class: "soft" }, g.text.std),
    flag,
    h("div", { class: "below" }, below),
  );
  return explain(cell, (e) => {
    lookAt(armOf[g.arm]);
    showTip(
      e.clientX,
      e.clientY,
      `${armOf[g.arm].label}, ${named(g)}`,
      [...summary(g), ["corrected p", g.text.p]],
      armOf[g.arm],
    );
  });
}
