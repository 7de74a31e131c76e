// Gains by class, pictures of every arm, and how alike the encoders' features are.

function classGains() {
  const shown = (study.class_gains || []).filter(shows);
  const itemsOf = (arm) => shown.filter((item) => item.arm === arm.name);
  const of = shownArms().filter((arm) => itemsOf(arm).length);
  if (!of.length) return null;
  const average = (name, arm) => mean(itemsOf(arm).map((item) => item.gains[name]));
  const overall = (name) => mean(of.map((arm) => average(name, arm))) ?? -Infinity;
  const most = strongest(study.classes.flatMap((name) => of.map((arm) => average(name, arm))));
  const notes = footnotes();
  const heads = of.map((arm) => {
    // An arm's gains are means over what is shown: what is true of any of it must be known.
    const marks = itemsOf(arm).flatMap((item) => groupOf[key(item) + arm.name].difference_marks);
    return ofArm(arm, h, "th", { scope: "col" }, armName(arm, notes.flag(marks)));
  });
  const cell = (name, arm) => gainCell(name, arm, average(name, arm), itemsOf(arm), most);
  const cells = (name) => of.map((arm) => cell(name, arm));
  const body = [...study.classes]
    .sort((a, b) => overall(b) - overall(a))
    .map((name) => h("tr", h("th", { scope: "row" }, name), cells(name)));
  const table = tableOf(["Class", ...heads], body, "heat");
  return h("div", wide(table, "Gains by class"), notes.list());
}

function gainCell(name, arm, gain, items, most) {
  const style = { "--c": arm.colour, ...tint(gain, most) };
  const there = items.filter((item) => known(item.gains[name]));
  const facts = there.map((item) => [named(item) || "gain", `${item.text[name]} points`]);
  return explain(ofArm(arm, h, "td", { style }, signed(gain)), (e) => {
    lookAt(arm);
    showTip(e.clientX, e.clientY, `${arm.label}: ${name}`, facts, arm);
  });
}

// Pictures side by side; a click shows one large, and the arrow keys change arms in its place.
function panels(list) {
  const hidden = arms.filter((arm) => view.hidden.arm.has(arm.name)).map((arm) => arm.label);
  const there = (list || [])
    .map((panel) => ({
      ...panel,
      pictures: panel.pictures.filter(({ caption }) => !hidden.includes(caption)),
    }))
    .filter((panel) => panel.pictures.length);
  if (!there.length) return null;
  const shown = (panel) =>
    panel.pictures.map((picture, i) => {
      const open = () => zoom(panel, i);
      return pressed(open, { class: "picture" }, image(panel, picture), h("span", picture.caption));
    });
  const figure = (panel) =>
    h("figure", { class: panel.legend ? "panel legend" : "panel" }, h("figcaption", panel.title), [
      h("div", { class: "pictures" }, shown(panel)),
    ]);
  return h("div", there.map(figure));
}

const image = (panel, picture) =>
  h("img", {
    src: String(picture.src).startsWith("data:image/") ? picture.src : null,
    alt: `${picture.caption}: ${panel.title}`,
  });

function zoom(panel, at) {
  const dialog = document.getElementById("zoom");
  const [picture, many] = [panel.pictures[at], panel.pictures.length];
  const turn = (by) => zoom(panel, (at + by + many) % many);
  const back = pressed(() => turn(-1), { "aria-label": "Previous" }, "←");
  const on = pressed(() => turn(1), { "aria-label": "Next" }, "→");
  const close = pressed(() => dialog.close(), {}, "Close");
  dialog.replaceChildren(
    image(panel, picture),
    h("p", h("b", picture.caption), soft(` ${at + 1} of ${many}. ${panel.title}`)),
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
  const stages = ((study.features || {}).cka || []).filter((one) => one.matrix.length);
  if (!stages.length) return null;
  const figure = (one) =>
    h("figure", h("figcaption", one.stage), wide(alikeTable(one), `CKA at ${one.stage}`));
  return h("div", { class: "charts stages" }, stages.map(figure));
}

function alikeTable(one) {
  const of = one.arms.map((name) => armOf[name]);
  const kept = of.map((_, i) => i).filter((i) => !view.hidden.arm.has(of[i].name));
  const heads = kept.map((i) =>
    h("th", { scope: "col", "aria-label": of[i].label, title: of[i].label }, badge(of[i])),
  );
  const cells = (i) =>
    kept.map((k) => alikeCell(one.matrix[i][k], one.text[i][k], of[i], of[k], one.stage));
  const body = kept.map((i) => h("tr", h("th", { scope: "row" }, armName(of[i])), cells(i)));
  return tableOf([h("td"), ...heads], body, "heat cka");
}

function alikeCell(x, text, a, b, stage) {
  const share = known(x) ? Math.round(48 * Math.max(0, Math.min(1, x))) : 0;
  const background = `color-mix(in oklab, var(--more) ${share}%, transparent)`;
  const facts = [
    ["between", `${a.label} and ${b.label}`],
    ["linear CKA", text],
  ];
  const show = (e) => showTip(e.clientX, e.clientY, stage, facts);
  return explain(h("td", { style: { background } }, text), show);
}
