// The page: its sections, the filters above them, and the choice of light or dark.

// Each: id, heading, what draws it (null: nothing to show, it is left out), what to know of it, in
// which a browser folds line ends.
const ARMS_ONLY = "Only the filter on arms applies here.";
const SECTIONS = [
  {
    id: "overall",
    heading: "Verdicts",
    draw: () => verdicts("overall"),
    about: () => `${study.tables.overall.caption}. ${text.rule} ${ARMS_ONLY}`,
  },
  {
    id: "contrasts",
    heading: "Contrasts",
    draw: () => verdicts("contrasts"),
    about: () => `${study.tables.contrasts.caption}. ${ARMS_ONLY}`,
  },
  {
    id: "glance",
    heading: "Scores by condition",
    draw: () => (groups.length ? glance() : null),
    about: () =>
      `${metric} in %: mean of the runs ± standard deviation without what all arms share (labels,
      seed); the best of each column is bold. Below it the paired difference to
      ${referenceLabel} in points with its 95 % CI: blue is more, orange less, ● marks a corrected
      p of at most 0.05.`,
  },
  {
    id: "labels",
    heading: `${metric} against labels`,
    draw: (box) =>
      (values.labels || []).length > 1 && groups.some((g) => shows(g) && known(g.mean))
        ? againstLabels(box)
        : null,
    about: () =>
      `Mean of the runs with its 95 % CI. The axis of labels is logarithmic; marks are shifted
      sideways to be told apart. Dashed: the reference, ${referenceLabel}.
      ${values.labels.includes(0) ? "“all” stands at the end, whatever its number." : ""}`,
  },
  {
    id: "comparisons",
    heading: "All comparisons and their runs",
    draw: () => (groups.length ? comparisons() : null),
    about: () =>
      `Filled marks: corrected p of at most 0.05. “Steps, × ${referenceLabel}”: how many times as
      many steps an arm needs to reach the ${metric} that both reach. Open a row for its runs and
      their commands.`,
    note: () => text.explanation || "",
  },
  {
    id: "efficiency",
    heading: "How many labels an arm needs",
    draw: efficiency,
    about: () =>
      `Labels needed to reach the ${metric} that both an arm and ${referenceLabel} reach, as a
      multiple of what ${referenceLabel} needs, with 95 % CIs: left of 1 is fewer. Filled marks:
      corrected p of at most 0.05 and a CI that excludes 1.`,
  },
  {
    id: "learning",
    heading: "How fast an arm learns",
    draw: learning,
    about: () =>
      `Mean of the runs at each evaluation; hover or tap for their range. ${text.steps || ""}`,
  },
  {
    id: "classes",
    heading: "Which classes gain",
    draw: classGains,
    about: () =>
      `Difference to ${referenceLabel} in IoU points, averaged over the conditions shown; hover or
      tap for each. The classes that gain most come first.`,
  },
  {
    id: "panels",
    heading: "Predictions on the same pictures",
    draw: () => panels(study.panels),
    about: () => "Open a picture, then switch between arms with the arrow keys.",
  },
  {
    id: "cka",
    heading: "How alike the encoders are",
    draw: alike,
    about: () =>
      `Unbiased linear CKA between the features of two arms on the same pictures: 1 is the same up
      to rotation and scale, 0 is unrelated. Computed for the first encoder and resolution
      (${firsts()}), with the batch statistics of these pictures, not those of training.`,
  },
  {
    id: "pca",
    heading: "What the features look like",
    draw: () => panels((study.features || {}).pca),
    about: () =>
      `The first three principal components as red, green and blue. Colours cannot be compared
      between arms.`,
  },
  {
    id: "sources",
    heading: "Where the scatter of runs comes from",
    draw: () => madeTable("sources", shownRows("sources")),
    about: () => `${study.tables.sources.caption}. ${text.sources} ${ARMS_ONLY}`,
  },
  {
    id: "own",
    heading: "How each arm did its own task",
    draw: () => madeTable("own", shownRows("own")),
    about: () =>
      `The score of each pre-training on its own task, beside the best constant prediction, one that
      ignores the picture. An arm that does not beat it owes its gain to something else.`,
  },
  {
    id: "rates",
    heading: "Which learning rates were tried",
    draw: () => madeTable("tried", shownRows("tried")),
    about: () =>
      `By no label that judges the result. The best of an arm's rates was used for all of its runs.`,
  },
  {
    id: "arms",
    heading: "What each arm was given",
    draw: () => madeTable("given", shownRows("given")),
    about: () =>
      `Pre-training only, including that of the arm it starts from. For a run that was resumed,
      the time is that since its last start.`,
  },
  {
    id: "unfinished",
    heading: "Runs without a result",
    draw: unfinished,
    about: () => "No mean includes them; a pair that lacks a run is left out and counted.",
  },
  {
    id: "repeat",
    heading: "How to reproduce it",
    draw: () => {
      const parts = [commands(), circumstances(), download()];
      return parts.some(Boolean) ? h("div", parts) : null;
    },
  },
];

// The encoder and resolution that encoders are compared with: the first of each.
const firsts = () => ["encoder", "resolution"].map((f) => word(f, (values[f] || [])[0])).join(", ");

const boxes = new Map();

function build() {
  const main = document.getElementById("main");
  for (const { id, heading } of SECTIONS) {
    const box = h("div", { class: "body" });
    const about = h("p", { class: "about" });
    const note = h("p", { class: "about note" });
    const title = h("h2", { id: `${id}-heading` }, heading);
    const node = h("section", { id, "aria-labelledby": title.id }, title, about, note, box);
    boxes.set(id, { node, box, about, note });
    main.append(node);
  }
  const nothing = "Nothing is left to show: choose at least one value of each filter.";
  main.append(h("p", { id: "nothing", class: "about", hidden: true }, nothing));
}

// Draws one section, or all of them. A section is shown while it's drawn: charts ask for its width.
function draw(only = null) {
  hideTip();
  for (const section of SECTIONS.filter(({ id }) => only === null || id === only)) {
    const { node, box, about, note } = boxes.get(section.id);
    node.hidden = false;
    const drawn = section.draw(box);
    for (const [place, words] of [[about, section.about], [note, section.note]]) {
      place.textContent = drawn && words ? words() : "";
      place.hidden = !place.textContent;
    }
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
  const all = [["arm", arms.map((arm) => arm.name)], ...varying.map((f) => [f, values[f]])];
  const kinds = all.filter(([, of]) => of.length > 1);
  if (!kinds.length || !groups.length) return form.remove();
  const showAll = () => {
    form.querySelector("input").focus();
    Object.values(view.hidden).forEach((off) => off.clear());
    form.querySelectorAll("input").forEach((input) => (input.checked = true));
    draw();
  };
  const sets = kinds.map(([f, of]) => {
    const legend = h("legend", title(f === "arm" ? "arms" : f));
    return h("fieldset", legend, h("div", of.map((value) => choice(f, value))));
  });
  const said = h("span", { id: "said", role: "status" });
  const reset = pressed(showAll, { id: "reset" }, "Show all");
  return form.append(...sets, h("p", { class: "said" }, said, " ", reset));
}

function choice(f, value) {
  const onchange = () => {
    view.hidden[f][input.checked ? "delete" : "add"](value);
    draw();
  };
  const box = { type: "checkbox", checked: true, name: f, "data-value": value };
  const input = h("input", { ...box, onchange });
  if (f !== "arm") {
    const name = f === "labels" ? labelCount(value) : word(f, value);
    return h("label", { class: "choice" }, input, h("span", name));
  }
  const arm = armOf[value];
  const looks = { onpointerenter: () => lookAt(arm), onpointerleave: () => lookAt(null) };
  return ofArm(arm, h, "label", { class: "choice", ...looks }, input, armName(arm));
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
