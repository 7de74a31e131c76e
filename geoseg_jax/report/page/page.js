// The page: its sections, the filters above them, and the choice of light or dark.

// Each: id, heading, what draws it (null: nothing to show, it is left out), what to know of it.
const SECTIONS = [
  {
    id: "overall",
    heading: "Verdicts",
    draw: overall,
    about: () =>
      [
        `Mean difference to ${referenceLabel} over all conditions that an arm has, in points of`,
        `${metric}, with Student's 95 % interval over ${units()}${overPictures()}${bootstrapped()};`,
        `p is corrected for the number of arms. ${rule()} “Ahead in”: conditions with a mean`,
        "difference above 0. Of the filters, only the arms apply here.",
      ].join(" "),
  },
  {
    id: "contrasts",
    heading: "Contrasts",
    draw: contrasts,
    about: () =>
      [
        "Two arms against each other, as the study was asked to compare them, over all conditions",
        "that both have; p is corrected for the number of contrasts. Verdicts follow the same rule.",
      ].join(" "),
  },
  {
    id: "glance",
    heading: "What each arm reaches",
    draw: () => (groups.length ? glance() : null),
    about: () =>
      [
        `${metric} in percent: mean ± standard deviation of the runs, less what all arms share by`,
        `subset and seed; the best of a column in bold. Below: the paired difference to ${referenceLabel} in points with its 95 %`,
        "interval; blue is more, orange less, ● a corrected p below 0.05.",
      ].join(" "),
  },
  {
    id: "labels",
    heading: `${metric} against labels`,
    draw: (box) =>
      (values.labels || []).length > 1 && groups.some((g) => shows(g) && known(g.mean))
        ? againstLabels(box)
        : null,
    about: () =>
      [
        "Mean of the runs and its 95 % confidence interval. The number of labels is on a",
        "logarithmic scale; marks at one number stand side by side to be told apart. Dashed:",
        `${referenceLabel}, the reference.`,
        (values.labels || []).includes(0) ? "“all” stands at the end, whatever it counts." : "",
      ].join(" "),
  },
  {
    id: "comparisons",
    heading: "Every comparison, and the runs behind it",
    draw: () => (groups.length ? comparisons() : null),
    about: () =>
      [
        "Differences are paired by subset and seeds, with their 95 % intervals; p is of the",
        "paired permutation test, corrected for all comparisons (Holm). Filled marks: corrected",
        `p below 0.05. “Steps, × ${referenceLabel}”: how many times the steps of that an arm`,
        `needs for the ${metric} that both come to, where the corrected p and the interval exclude 1.`,
        "Open a row for its runs and commands.",
      ].join(" "),
    note: () => study.explanation || "",
  },
  {
    id: "efficiency",
    heading: "How many labels an arm needs",
    draw: efficiency,
    about: () =>
      [
        `Labels that an arm needs for the ${metric} that both it and ${referenceLabel} come to, as a`,
        `multiple of what ${referenceLabel} needs, with the 95 % interval over ${units()}; left of 1`,
        "is fewer. Filled marks: the corrected p and the interval exclude 1; else nothing is shown.",
      ].join(" "),
  },
  {
    id: "learning",
    heading: "How fast an arm learns",
    draw: learning,
    about: () =>
      [
        "Learning curves: the mean of the runs at each evaluation. Hover or tap for the least and",
        `the most of them. ${stepsNeeded()}`,
      ].join(" "),
  },
  {
    id: "classes",
    heading: "Which classes gain",
    draw: classGains,
    about: () =>
      [
        `Difference in IoU to ${referenceLabel}, in points, as the mean over the conditions`,
        "shown; hover or tap for each. Classes that gain most come first.",
      ].join(" "),
  },
  {
    id: "panels",
    heading: "The same pictures, every arm",
    draw: () => panels(study.panels),
    about: () => "Open a picture, then change arms in its place with the arrow keys.",
  },
  {
    id: "cka",
    heading: "How alike the encoders are",
    draw: alike,
    about: () =>
      [
        "Linear CKA between the features of two arms on the same pictures: 1 is the same up to",
        "rotation and scale, 0 is unrelated. Estimated without bias, for the study's first encoder",
        `and resolution (${firsts()}), with the batch statistics of these pictures and not those`,
        "of training.",
      ].join(" "),
  },
  {
    id: "pca",
    heading: "What the features look like",
    draw: () => panels((study.features || {}).pca),
    about: () =>
      [
        "The first three principal components of the features as red, green and blue. Colours",
        "are not comparable between arms.",
      ].join(" "),
  },
  {
    id: "own",
    heading: "How each arm did its own task",
    draw: ownTasks,
    about: () =>
      [
        "The score of each pre-training on its own task, beside the best answer that ignores the",
        "picture. An arm that does not beat it owes whatever it gains to something other than its task.",
      ].join(" "),
  },
  {
    id: "arms",
    heading: "What each arm was given",
    draw: armsTable,
    about: () =>
      [
        "Pre-training alone, before any label, with that of what an arm starts from. Of a run that",
        "was stopped, the time is of its last start.",
      ].join(" "),
  },
  {
    id: "unfinished",
    heading: "Runs that did not end",
    draw: unfinished,
    about: () => "They are in no mean; pairs that lack a side are left out and counted.",
  },
  {
    id: "repeat",
    heading: "How to repeat it",
    draw: () =>
      commands() || circumstances() ? h("div", {}, commands(), circumstances(), download()) : null,
  },
];

// By what rule a verdict is found.
function rule() {
  const within = `±${percent(study.bound)}`;
  const level = study.bound > 0 ? `; level where it is shown to lie within ${within}` : "";
  return `Better or worse: corrected p at most 0.05 (filled marks)${level}; else nothing is shown.`;
}

// Which arms are shown to need more or fewer steps than the reference, over all conditions.
function stepsNeeded() {
  const shown = (study.steps || []).filter((told) => told.shown);
  if (!(study.steps || []).length) return "";
  const what = `the steps of ${referenceLabel} to the ${metric} that both come to`;
  if (!shown.length) return `No arm is shown to need more or fewer than ${what}.`;
  const ends = (told) => `${short(told.ratio_low)} to ${short(told.ratio_high)}`;
  const each = shown.map((told) => {
    return `${armOf[told.arm].label} ${told.sign}${short(told.ratio)} × (${ends(told)})`;
  });
  return `Over all conditions, as a multiple of ${what}, with 95 % intervals: ${each.join("; ")}.`;
}

function overPictures() {
  const drawn = study.resampled;
  return drawn ? `, one over ${count(drawn.count)} test ${drawn.what} drawn anew` : "";
}

// Few units have no interval by bootstrap.
function bootstrapped() {
  const there = (study.overall || []).some((o) => known(o.bootstrap_low));
  return there ? ` and a studentised bootstrap of ${units()}` : "";
}

const units = () => `${study.unit || "seed"}s`;

// What encoders are looked into with: of each factor the first value, where the study says one.
function firsts() {
  const first = ["encoder", "resolution"].map((f) => word(f, (values[f] || [])[0]));
  return first.filter(Boolean).join(", ");
}

const boxes = new Map();

function build() {
  const main = document.getElementById("main");
  for (const section of SECTIONS) {
    const box = h("div", { class: "body" });
    const about = h("p", { class: "about" });
    const note = h("p", { class: "about note" });
    const node = h(
      "section",
      { id: section.id, "aria-labelledby": `${section.id}-heading` },
      h("h2", { id: `${section.id}-heading` }, section.heading),
      about,
      note,
      box,
    );
    boxes.set(section.id, { node, box, about, note });
    main.append(node);
  }
  main.append(
    h(
      "p",
      { id: "nothing", class: "about", hidden: true },
      "The filters leave nothing: choose at least one of each kind.",
    ),
  );
}

// Draws one section, or all of them. A section is shown while it's drawn: charts ask for its width.
function draw(only = null) {
  hideTip();
  for (const section of SECTIONS.filter(({ id }) => only === null || id === only)) {
    const { node, box, about, note } = boxes.get(section.id);
    node.hidden = false;
    about.textContent = section.about ? section.about() : "";
    about.hidden = !about.textContent;
    note.textContent = section.note ? section.note() : "";
    note.hidden = !note.textContent;
    const drawn = section.draw(box);
    box.replaceChildren(...(drawn ? [drawn] : []));
    node.hidden = !drawn;
  }
  const left = groups.filter(shows).length;
  document.getElementById("nothing").hidden = !groups.length || left > 0;
  const said = document.getElementById("said");
  if (said)
    said.textContent =
      left === groups.length
        ? `All ${many(left, "result")} shown`
        : `${count(left)} of ${many(groups.length, "result")} shown`;
  const reset = document.getElementById("reset");
  if (reset) reset.hidden = left === groups.length;
}

function filters() {
  const form = document.getElementById("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  const kinds = [
    ["arm", arms.map((arm) => arm.name)],
    ...varying.map((f) => [f, values[f]]),
  ].filter(([, of]) => of.length > 1);
  if (!kinds.length || !groups.length) return form.remove();
  form.append(
    ...kinds.map(([f, of]) =>
      h(
        "fieldset",
        {},
        h("legend", {}, title(f === "arm" ? "arms" : f)),
        h(
          "div",
          {},
          of.map((value) => choice(f, value)),
        ),
      ),
    ),
  );
  const reset = h("button", { type: "button", class: "quiet", id: "reset" }, "Show all");
  reset.addEventListener("click", () => {
    form.querySelector("input").focus();
    Object.values(view.hidden).forEach((off) => off.clear());
    form.querySelectorAll("input").forEach((input) => (input.checked = true));
    draw();
  });
  return form.append(
    h("p", { class: "said" }, h("span", { id: "said", role: "status" }), " ", reset),
  );
}

function choice(f, value) {
  const input = h("input", { type: "checkbox", checked: true, name: f, "data-value": value });
  input.addEventListener("change", () => {
    view.hidden[f][input.checked ? "delete" : "add"](value);
    draw();
  });
  if (f !== "arm")
    return h(
      "label",
      { class: "choice" },
      input,
      h("span", {}, f === "labels" ? labelCount(value) : word(f, value)),
    );
  const arm = armOf[value];
  const label = ofArm(arm, h, "label", { class: "choice" }, input, armName(arm));
  label.addEventListener("pointerenter", () => lookAt(arm));
  label.addEventListener("pointerleave", () => lookAt(null));
  return label;
}

// The line under the answer: what it rests on.
function facts() {
  const done = rows.filter((row) => row.status === "done").length;
  const lost = rows.length - done;
  const parts = [
    rows.length
      ? `${many(done, "run")}${lost ? `, ${count(lost)} more failed or missing` : ""}`
      : "no runs",
    arms.length ? many(arms.length, "arm") : "",
    groups.length ? many(lots(groups, factors).length, "condition") : "no numbers yet",
    arms.length > 1 ? `reference: ${referenceLabel}` : "",
    study.hardware || "",
    study.date || "",
  ];
  document.getElementById("facts").textContent = parts.filter(Boolean).join(" · ");
}

function theme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const set = (name, keep) => {
    document.documentElement.dataset.theme = name;
    button.setAttribute("aria-pressed", name === "dark");
    try {
      if (keep) localStorage.setItem("theme", name);
    } catch {
      // A browser that keeps nothing for files: the choice holds until the page is closed.
    }
  };
  let kept = null;
  try {
    kept = localStorage.getItem("theme");
  } catch {
    kept = null;
  }
  set(["light", "dark"].includes(kept) ? kept : system.matches ? "dark" : "light");
  button.addEventListener("click", () =>
    set((kept = document.documentElement.dataset.theme === "dark" ? "light" : "dark"), true),
  );
  system.addEventListener("change", () => kept || set(system.matches ? "dark" : "light"));
}

theme();
facts();
build();
filters();
draw();

let drawnAt = document.getElementById("main").clientWidth;
addEventListener("resize", () =>
  requestAnimationFrame(() => {
    const width = document.getElementById("main").clientWidth;
    if (width !== drawnAt) draw();
    drawnAt = width;
  }),
);
addEventListener("scroll", hideTip, { passive: true });
