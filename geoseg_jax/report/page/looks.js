// Gains by class, pictures of every arm, and how alike the encoders' features are.

function classGains() {
  const shown = (study.class_gains || []).filter(shows);
  const of = shownArms().filter((arm) => shown.some((item) => item.arm === arm.name));
  if (!shown.length || !of.length) return null;
  const classes = unique([
    ...(study.classes || []),
    ...shown.flatMap((item) => Object.keys(item.gains || {})),
  ]);
  const cells = new Map(
    classes.map((name) => [
      name,
      of.map((arm) =>
        shown.filter((item) => item.arm === arm.name && known((item.gains || {})[name])),
      ),
    ]),
  );
  const average = (name, i) => mean(cells.get(name)[i].map((item) => item.gains[name]));
  const overall = (name) => mean(of.map((_, i) => average(name, i))) ?? -Infinity;
  const most = strongest(classes.flatMap((name) => of.map((_, i) => average(name, i))));
  const notes = footnotes();
  // An arm's gains are means over what is shown: what is true of any of it must be known.
  const flag = (arm) =>
    notes.flag(
      shown
        .filter((item) => item.arm === arm.name)
        .flatMap((item) => groupOf[key(item) + arm.name]?.difference_marks || []),
    );
  const heads = of.map((arm) => ofArm(arm, h, "th", { scope: "col" }, armName(arm, flag(arm))));
  const body = [...classes]
    .sort((a, b) => overall(b) - overall(a))
    .map((name) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        of.map((arm, i) => gainCell(name, arm, average(name, i), cells.get(name)[i], most)),
      ),
    );
  const table = tableOf(["Class", ...heads], body, "heat");
  return h("div", {}, wide(table, "Gains by class"), notes.list());
}

function gainCell(name, arm, gain, items, most) {
  const cell = ofArm(
    arm,
    h,
    "td",
    { style: { "--c": arm.colour, ...tint(gain, most) } },
    signed(gain),
  );
  const facts = items.map((item) => [named(item) || "gain", `${item.text[name]} points`]);
  return explain(cell, (e) => {
    lookAt(arm);
    showTip(e.clientX, e.clientY, `${arm.label}: ${name}`, facts, arm);
  });
}

// Pictures side by side; a click shows one large, and the arrow keys change arms in its place.
function panels(list) {
  const hidden = arms
    .filter((arm) => view.hidden.arm.has(arm.name))
    .flatMap((a) => [a.name, a.label]);
  const left = ({ caption }) => !hidden.includes(caption);
  const there = (list || [])
    .map((panel) => ({ ...panel, pictures: (panel.pictures || []).filter(left) }))
    .filter((panel) => panel.pictures.length);
  if (!there.length) return null;
  return h(
    "div",
    {},
    there.map((panel) =>
      h(
        "figure",
        { class: "panel" },
        h("figcaption", {}, panel.title || "Pictures"),
        h(
          "div",
          { class: "pictures" },
          panel.pictures.map((picture, i) => {
            const button = h(
              "button",
              { type: "button", class: "picture" },
              image(panel, picture),
              h("span", {}, picture.caption || ""),
            );
            button.addEventListener("click", () => zoom(panel, i));
            return button;
          }),
        ),
      ),
    ),
  );
}

const image = (panel, picture) =>
  h("img", {
    src: String(picture.src).startsWith("data:image/") ? picture.src : null,
    alt: `${picture.caption || "picture"}: ${panel.title || ""}`,
  });

function zoom(panel, at) {
  const dialog = document.getElementById("zoom");
  const picture = panel.pictures[at];
  const turn = (by) => zoom(panel, (at + by + panel.pictures.length) % panel.pictures.length);
  const close = h("button", { type: "button", class: "quiet" }, "Close");
  close.addEventListener("click", () => dialog.close());
  const [back, on] = [
    ["←", -1, "Previous"],
    ["→", 1, "Next"],
  ].map(([sign, by, label]) => {
    const button = h("button", { type: "button", class: "quiet", "aria-label": label }, sign);
    button.addEventListener("click", () => turn(by));
    return button;
  });
  dialog.replaceChildren(
    image(panel, picture),
    h(
      "p",
      {},
      h("b", {}, picture.caption || ""),
      h("span", { class: "soft" }, ` ${at + 1} of ${panel.pictures.length}. ${panel.title || ""}`),
    ),
    h("p", { class: "buttons" }, back, on, close),
  );
  dialog.onkeydown = (event) => {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
  };
  if (!dialog.open) dialog.showModal();
  on.focus();
}

function alike() {
  const stages = ((study.features || {}).cka || []).filter((one) => (one.matrix || []).length);
  if (!stages.length) return null;
  return h(
    "div",
    { class: "charts stages" },
    stages.map((one) =>
      h("figure", {}, h("figcaption", {}, one.stage), wide(alikeTable(one), `CKA at ${one.stage}`)),
    ),
  );
}

function alikeTable(one) {
  const of = one.arms.map(
    (name) => armOf[name] || { name, label: name, index: -1, shape: 0, colour: "var(--soft)" },
  );
  const kept = of.map((arm, i) => i).filter((i) => !view.hidden.arm.has(of[i].name));
  const heads = kept.map((i) =>
    h("th", { scope: "col", "aria-label": of[i].label, title: of[i].label }, badge(of[i])),
  );
  const body = kept.map((i) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, armName(of[i])),
      kept.map((k) => alikeCell(one.matrix[i][k], one.text[i][k], of[i], of[k], one.stage)),
    ),
  );
  return tableOf([h("td"), ...heads], body, "heat cka");
}

function alikeCell(x, text, a, b, stage) {
  const share = known(x) ? Math.round(48 * Math.max(0, Math.min(1, x))) : 0;
  const cell = h(
    "td",
    { style: { background: `color-mix(in oklab, var(--more) ${share}%, transparent)` } },
    text,
  );
  return explain(cell, (e) =>
    showTip(e.clientX, e.clientY, stage, [
      ["between", `${a.label} and ${b.label}`],
      ["linear CKA", text],
    ]),
  );
}
