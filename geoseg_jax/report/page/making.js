// How the numbers were made: what failed, commands and versions.

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
  return wide(tableOf(heads, body, "making"), "Runs without a result");
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
          h("summary", {}, "Each arm by itself"),
          single.map((arm) => [
            h("p", { class: "small" }, armName(armOf[arm.name])),
            copyable(arm.command),
          ]),
        )
      : null,
    rows.some((row) => row.command)
      ? h("p", { class: "small" }, "Open a row of the table of comparisons for a run's own command.")
      : null,
  );
}

function circumstances() {
  const pairs = [
    ["Budget", study.budget],
    ["Guard", study.guard],
    ["The same in all", text.shared],
    ["Hardware", study.hardware],
    ["Time of pre-trainings", text.pretraining],
    ["Time of all cells", text.cells],
    ["Date", study.date],
    [
      "Versions",
      Object.entries(study.versions || {})
        .map(([name, v]) => `${name} ${v}`)
        .join(", "),
    ],
  ].filter(([, value]) => value && value !== NONE);
  return pairs.length
    ? h(
        "dl",
        { class: "facts-list" },
        pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
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
