// The table of arms by conditions; and what all tables share.

// Columns of words, which stand to the left.
const TEXTS = new Set(["Config", "Encoder", "Number", "Comes from", "Condition", "Status", "Error"]);

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
        notes.flag(g.difference_marks),
        h("br"),
        known(g.difference_low)
          ? h("span", { class: "soft" }, interval(g.difference_low, g.difference_high, signed))
          : null,
      ]
    : [g.arm === reference ? null : none("no pairs"), notes.flag(g.difference_marks)];
  const cell = h(
    "td",
    { ...place, style: tint(g.difference, most) },
    button,
    deviation,
    flag,
    h("div", { class: "below" }, below),
  );
  return explain(cell, (e) => {
    lookAt(armOf[g.arm]);
    showTip(
      e.clientX,
      e.clientY,
      `${armOf[g.arm].label}, ${named(g)}`,
      [...summary(g), ["p, corrected", chance(g.p_corrected)]],
      armOf[g.arm],
    );
  });
}
