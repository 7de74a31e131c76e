// How the numbers were made: what failed, commands and versions.

function unfinished() {
  const lost = rows.filter((row) => row.status && row.status !== "done");
  if (!lost.length) return null;
  const body = lost.map((r) =>
    h("tr", h("th", { scope: "row" }, armName(armOf[r.arm])), [
      h("td", { class: "text" }, named(r, varying.length ? varying : factors)),
      replicateOf(r),
      h("td", { class: "text bad" }, r.status),
      h("td", { class: "text" }, r.error || NONE),
    ]),
  );
  const heads = ["Arm", "Condition", ...REPLICATE_HEADS, "Status", "Error"];
  return wide(tableOf(heads, body, "making"), "Runs without a result");
}

function commands() {
  const whole = (study.commands || []).map(copyable);
  const single = (study.arms || []).filter((arm) => arm.command);
  if (!whole.length && !single.length) return null;
  const each = single.map((arm) => [
    h("p", { class: "small" }, armName(armOf[arm.name])),
    copyable(arm.command),
  ]);
  const more = "Open a row of the table of comparisons for a run's own command.";
  return h("div", whole, [
    single.length ? h("details", h("summary", "Each arm by itself"), each) : null,
    rows.some((row) => row.command) ? h("p", { class: "small" }, more) : null,
  ]);
}

function circumstances() {
  const versions = Object.entries(study.versions || {}).map((pair) => pair.join(" "));
  const pairs = Object.entries({
    Budget: study.budget,
    Guard: study.guard,
    "The same in all": text.shared,
    Hardware: study.hardware,
    "Time of pre-trainings": text.pretraining,
    "Time of all cells": text.cells,
    Date: study.date,
    Versions: versions.join(", "),
  }).filter(([, value]) => value && value !== NONE);
  if (!pairs.length) return null;
  const entries = pairs.map(([name, value]) => [h("dt", name), h("dd", value)]);
  return h("dl", { class: "facts-list" }, entries);
}

// The lines of results.csv whose rows are shown, for whoever has only this page.
function download() {
  const [heading, ...lines] = study.csv || [];
  if (!lines.length) return null;
  const kept = lines.filter((_, i) => shows(rows[i]));
  const part = kept.length < lines.length;
  const save = () => {
    const text = [heading, ...kept].map((line) => `${line}\n`);
    const href = URL.createObjectURL(new Blob(text, { type: "text/csv" }));
    h("a", { href, download: part ? "results_shown.csv" : "results.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  };
  const what = part ? `the ${many(kept.length, "run")} shown` : "the runs";
  return h("p", pressed(save, {}, `Save ${what} as CSV`));
}
