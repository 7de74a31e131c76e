// The table of arms by conditions, and what all tables share.

// Columns of words, which stand to the left.
const TEXTS = new Set([
  ...["Verdict", "Config", "Number", "Starts from", "Condition", "Status", "Error", "For"],
  "Score by learning rate",
]);

const strongest = (items) => Math.max(0.001, ...items.map((x) => Math.abs(x)).filter(known));

// Tints of a difference: blue is more than the reference, orange less; numbers stay readable.
const tint = (x, most) => {
  if (!known(x)) return {};
  const share = Math.round(42 * Math.min(1, Math.abs(x) / most));
  const colour = x > 0 ? "--more" : "--less";
  return { background: `color-mix(in oklab, var(${colour}) ${share}%, transparent)` };
};

const bestOf = (of) => Math.max(...of.map((g) => g.mean).filter(known));

const wide = (table, label) =>
  h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, table);

// A table under one row of headings: texts, or cells that are made already. kind: its class.
function tableOf(heads, rows, kind) {
  const head = (it) =>
    it instanceof Node ? it : h("th", { scope: "col", class: TEXTS.has(it) ? "text" : null }, it);
  return h("table", { class: kind }, h("thead", h("tr", heads.map(head))), h("tbody", rows));
}

// The rows of a table that came as text, of the arms that are shown.
const shownRows = (name) =>
  ((study.tables || {})[name]?.rows || []).filter((row) => row.arms.every((arm) => shows({ arm })));

// A table that came as text: {header, rows: [{arms, cells: [{text, marks, bold}]}]}; `column` makes
// one more cell at the place `at`, of a row or for the headings.
function madeTable(name, of, { kind = "making", at = 0, column = null } = {}) {
  if (!of.length) return null;
  const notes = footnotes();
  const { header, caption } = study.tables[name];
  const heads = header.map((it) => (it === "p" ? it : title(it)));
  const side = heads.map((it) => (TEXTS.has(it) ? "text" : ""));
  const insert = (cells, row) => (column ? cells.toSpliced(at, 0, column(row)) : cells);
  const body = of.map((row) => {
    const arm = armOf[row.arms[0]];
    const cells = row.cells.map(({ text, marks, bold }, i) => {
      if (i) return h("td", { class: `${side[i]} ${bold ? "best" : ""}`.trim() || null }, text);
      return h("th", { scope: "row" }, namedArm(arm, text, notes.flag(marks)));
    });
    return ofArm(arm, h, "tr", {}, insert(cells, row));
  });
  return h("div", wide(tableOf(insert(heads, null), body, kind), caption), notes.list());
}

function byGain(of) {
  const own = (arm) => of.filter((g) => g.arm === arm.name);
  const gain = (arm) => (arm.name === reference ? 0 : mean(own(arm).map((g) => g.difference)));
  return shownArms()
    .filter((arm) => own(arm).length)
    .sort((a, b) => (gain(b) ?? -Infinity) - (gain(a) ?? -Infinity));
}

function glance() {
  const shown = groups.filter(shows);
  const order = [...besides, ...("labels" in values ? ["labels"] : [])];
  const conditions = lots(shown, order);
  const most = strongest(shown.map((g) => g.difference));
  const notes = footnotes();
  const body = byGain(shown).map((arm) => {
    const own = arm.name === reference;
    const cells = conditions.map((of, i) => {
      const group = of.find((g) => g.arm === arm.name);
      return glanceCell(group, of, most, starts(conditions, i), notes);
    });
    const head = h("th", { scope: "row" }, armName(arm), own ? h("small", "reference") : null);
    return ofArm(arm, h, "tr", { class: own ? "reference" : null }, head, cells);
  });
  const head = h("thead", glanceHead(shown, order, conditions));
  const table = h("table", { class: "glance" }, head, h("tbody", body));
  return h("div", wide(table, "Arms by conditions"), notes.list());
}

function glanceHead(shown, order, conditions) {
  const kinds = lots(shown, besides).map((lot) => {
    const place = { scope: "colgroup", class: "lot", colspan: lots(lot, order).length };
    return h("th", place, named(lot[0], besides) || metric);
  });
  const counts = conditions.map((of, i) => {
    const place = { scope: "col", class: starts(conditions, i) ? "first" : null };
    return h("th", place, "labels" in values ? word("labels", of[0].labels) : metric);
  });
  return [h("tr", h("th", { scope: "col", rowspan: 2 }, "Arm"), kinds), h("tr", counts)];
}

const starts = (conditions, i) =>
  i === 0 || key(conditions[i][0], besides) !== key(conditions[i - 1][0], besides);

function glanceCell(g, of, most, first, notes) {
  const place = { class: first ? "first" : null };
  if (!g || !known(g.mean)) return h("td", place, soft("no runs"), notes.flag(g?.score_marks));
  const arm = armOf[g.arm];
  const attributes = {
    class: g.mean === bestOf(of) ? "number best" : "number",
    "aria-label": `${arm.label}, ${named(g)}: ${metric} ${g.text.mean} %. Show its runs`,
  };
  const button = pressed(() => unfold(key(g) + g.arm, true), attributes, g.text.mean);
  const score = [button, soft(g.text.std), notes.flag(g.score_marks)];
  const flag = notes.flag(g.difference_marks);
  const below = known(g.difference)
    ? [h("b", g.text.difference), g.certain ? " ●" : "", flag, h("br"), soft(g.text.difference_ci)]
    : [g.arm === reference ? null : soft("no pairs"), flag];
  const style = tint(g.difference, most);
  const cell = h("td", { ...place, style }, score, h("div", { class: "below" }, below));
  return explain(cell, (e) => {
    const facts = [...summary(g), ["corrected p", g.text.p]];
    lookAt(arm);
    showTip(e.clientX, e.clientY, `${arm.label}, ${named(g)}`, facts, arm);
  });
}
