// How the numbers were made: budgets, lineage, what failed, commands and versions.

function armsTable() {
  const of = study.arms || [];
  if (!of.length) return null;
  const notes = footnotes();
  const several = (values.encoder || []).length > 1;
  const four = ["Distinct pictures", "Through the encoder", "Steps", "FLOP"];
  const heads = ["Arm", "Config", several ? "Encoder" : null, ...four];
  const body = of.flatMap(({ name }) =>
    (armOf[name].spent || [{}]).map((spent) => armRow(armOf[name], spent, several, notes)),
  );
  const table = tableOf([...heads.filter(Boolean), "Time", "Comes from"], body, "making");
  return h("div", {}, wide(table, "What each arm was given"), notes.list());
}

// What one encoder of an arm was given: each has a budget of its own.
function armRow(arm, spent, several, notes) {
  const from = (arm.ancestors || []).length ? arm.ancestors.join(" ← ") : "random weights";
  return ofArm(
    arm,
    h,
    "tr",
    {},
    h("th", { scope: "row" }, armName(arm, notes.flag(spent.marks))),
    h("td", { class: "text" }, arm.config ? h("code", {}, arm.config) : NONE),
    several ? h("td", { class: "text" }, spent.encoder ?? NONE) : null,
    h("td", {}, count(spent.pictures)),
    h("td", {}, count(spent.encoder_images)),
    h("td", {}, count(spent.steps)),
    h("td", {}, withPrefix(spent.flops, "FLOP")),
    h("td", {}, duration(spent.seconds)),
    h("td", { class: "text" }, from),
  );
}

// Each arm's own task beside the best answer that ignores the picture.
function ownTasks() {
  const of = (study.arms || []).flatMap(({ name }) =>
    (armOf[name].own_task || []).map((told) => [armOf[name], told]),
  );
  if (!of.length) return null;
  const several = (values.encoder || []).length > 1;
  const heads = ["Arm", several ? "Encoder" : null, "Number", "Score", "Constant answer", "Beaten"];
  const digits = (v) => (known(v) ? String(Number(v.toPrecision(4))) : NONE);
  const body = of.map(([arm, told]) => {
    const all = told.beaten === told.runs;
    const some = told.beaten ? `in ${count(told.beaten)} of ${count(told.runs)} runs` : "no";
    return ofArm(
      arm,
      h,
      "tr",
      {},
      h("th", { scope: "row" }, armName(arm)),
      several ? h("td", { class: "text" }, told.encoder) : null,
      h("td", { class: "text" }, told.number),
      h("td", {}, digits(told.score)),
      h("td", {}, digits(told.constant)),
      h("td", { class: all ? null : "bad best" }, all ? "yes" : some),
    );
  });
  return wide(tableOf(heads.filter(Boolean), body, "making"), "How each arm did its own task");
}

function unfinished() {
  const lost = rows.filter((row) => row.status && row.status !== "done");
  if (!lost.length) return null;
  const heads = ["Arm", "Condition", "Subset", "Seed", "Pre-training seed", "Status", "Error"];
  const body = lost.map((r) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, armName(armOf[r.arm])),
      h("td", { class: "text" }, named(r, varying.length ? varying : factors)),
      h("td", {}, r.subset ?? NONE),
      h("td", {}, r.seed ?? NONE),
      h("td", {}, r.pretraining_seed ?? NONE),
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
    ["Time of pre-trainings", duration(study.pretraining_seconds)],
    ["Time of all cells", duration(rows.reduce((sum, r) => sum + (r.seconds || 0), 0) || null)],
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

// The lines of results.csv whose rows are shown, for whoever has only this page.
function download() {
  const [heading, ...lines] = study.csv || [];
  if (!lines.length) return null;
  const kept = lines.filter((_, i) => shows(rows[i]));
  const part = kept.length < lines.length;
  const what = part ? `the ${many(kept.length, "run")} shown` : "the runs";
  const button = h("button", { type: "button", class: "quiet" }, `Save ${what} as CSV`);
  button.addEventListener("click", () => {
    const blob = new Blob(
      [heading, ...kept].map((line) => `${line}\n`),
      { type: "text/csv" },
    );
    const name = part ? "results_shown.csv" : "results.csv";
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  return h("p", {}, button);
}
