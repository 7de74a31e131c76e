// How the numbers were made: budgets, lineage, what failed, commands and versions.

function armsTable() {
  const of = study.arms || [];
  if (!of.length) return null;
  const notes = footnotes();
  const heads = ["Arm", "Config", "Pictures seen", "Steps", "FLOP", "Time", "Comes from"];
  const body = of
    .map(({ name }) => armOf[name])
    .map((arm) =>
      ofArm(
        arm,
        h,
        "tr",
        {},
        h(
          "th",
          { scope: "row" },
          h("div", { class: "named" }, armName(arm), notes.flag(arm.marks)),
        ),
        h("td", { class: "text" }, arm.config ? h("code", {}, arm.config) : NONE),
        h("td", {}, count(arm.images)),
        h("td", {}, count(arm.steps)),
        h("td", {}, withPrefix(arm.flops, "FLOP")),
        h("td", {}, duration(arm.seconds)),
        h(
          "td",
          { class: "text" },
          (arm.ancestors || []).length ? arm.ancestors.join(" ← ") : "random weights",
        ),
      ),
    );
  const table = tableOf(heads, body, "making");
  return h("div", {}, wide(table, "What each arm was given"), notes.list());
}

function unfinished() {
  const lost = rows.filter((row) => row.status && row.status !== "done");
  if (!lost.length) return null;
  const heads = ["Arm", "Condition", "Subset", "Seed", "Status", "Error"];
  const body = lost.map((r) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, armName(armOf[r.arm])),
      h("td", { class: "text" }, named(r, varying.length ? varying : factors)),
      h("td", {}, r.subset ?? NONE),
      h("td", {}, r.seed ?? NONE),
      h("td", { class: "text bad" }, r.status),
      h("td", { class: "text" }, r.error || NONE),
    ),
  );
  return wide(tableOf(heads, body, "making"), "Runs that did not end");
}

function commands() {
  const whole = (study.commands || []).map(copyable);
  const single = (study.arms || []).filter((arm) => arm.command);
  if (!whole.length && !single.length) return null;
  return h(
    "div",
    {},
    whole,
    single.length
      ? h(
          "details",
          {},
          h("summary", {}, "The arms, one by one"),
          single.map((arm) => [
            h("p", { class: "small" }, armName(armOf[arm.name])),
            copyable(arm.command),
          ]),
        )
      : null,
    rows.some((row) => row.command)
      ? h(
          "p",
          { class: "small" },
          [
            "The command of a single run stands with the run: open a row of the table of",
            "comparisons.",
          ].join(" "),
        )
      : null,
  );
}

function circumstances() {
  const pairs = [
    ["Budget", study.budget],
    ["Guard", study.guard],
    ["The same in all", constant.map((f) => `${f} ${word(f, values[f][0])}`).join(", ")],
    ["Hardware", study.hardware],
    ["Time of all runs", duration(rows.reduce((sum, r) => sum + (r.seconds || 0), 0) || null)],
    ["Date", study.date],
    [
      "Versions",
      Object.entries(study.versions || {})
        .map(([name, v]) => `${name} ${v}`)
        .join(", "),
    ],
  ].filter(([, text]) => text && text !== NONE);
  return pairs.length
    ? h(
        "dl",
        { class: "facts-list" },
        pairs.map(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]),
      )
    : null;
}

// The rows as a file: what results.csv holds, for whoever has only this page.
function download() {
  if (!rows.length) return null;
  const names = unique(rows.flatMap((row) => Object.keys(row))).filter((name) => name !== "curve");
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const button = h("button", { type: "button", class: "quiet" }, "Save the runs as CSV");
  button.addEventListener("click", () => {
    const lines = [names, ...rows.map((row) => names.map((name) => row[name]))];
    const blob = new Blob([lines.map((line) => line.map(quoted).join(",") + "\n").join("")], {
      type: "text/csv",
    });
    const link = h("a", { href: URL.createObjectURL(blob), download: "results.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  return h("p", {}, button);
}
