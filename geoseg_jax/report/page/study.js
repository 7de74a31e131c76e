// What the study holds, arranged as the page asks for it, and what of it the filters let through.

const study = JSON.parse(document.getElementById("study").textContent);
const rows = study.rows || [];
const groups = study.groups || [];
const metric = study.metric || "mIoU";
const reference = study.reference;

const text = study.text || {};
const factors = study.condition.filter((f) => [...rows, ...groups].some((item) => f in item));
// A value as people read it.
const word = (f, value) => ((study.names || {})[f] || {})[value] ?? String(value ?? NONE);
const every = (f) =>
  [...((study.factors || {})[f] || []), ...groups.map((g) => g[f]), ...rows.map((r) => r[f])];
const values = Object.fromEntries(
  factors.map((f) => [f, unique(every(f)).filter((v) => v !== undefined)]),
);
const varying = factors.filter((f) => values[f].length > 1);
const besides = varying.filter((f) => f !== "labels");

// Arms in the study's order. The reference is in ink and dashed, the others by colour and shape.
const given = Object.fromEntries((study.arms || []).map((arm) => [arm.name, arm]));
const arms = unique([...Object.keys(given), ...[...groups, ...rows].map((item) => item.arm)]).map(
  (name) => ({ label: name, ...given[name], name }),
);
arms
  .filter((arm) => arm.name !== reference)
  .forEach((arm, i) =>
    Object.assign(arm, { colour: `var(--arm-${i % 7})`, shape: 1 + ((i + Math.floor(i / 7)) % 7) }),
  );
arms.forEach((arm, i) => {
  arm.index = i;
  if (arm.name === reference) Object.assign(arm, { colour: "var(--ink)", shape: 0, dashed: true });
});
const armOf = Object.fromEntries(arms.map((arm) => [arm.name, arm]));
const referenceLabel = armOf[reference] ? armOf[reference].label : "the reference";

const key = (item, of = factors) => JSON.stringify(of.map((f) => item[f]));
const rank = (item, of = varying) => of.map((f) => values[f].indexOf(item[f]));
function compare(a, b) {
  const i = a.findIndex((x, k) => x !== b[k]);
  return i < 0 ? 0 : a[i] - b[i];
}
const named = (item, of = varying) => of.map((f) => word(f, item[f])).join(", ");

const runsOf = (group) =>
  rows.filter((row) => row.arm === group.arm && factors.every((f) => row[f] === group[f]));
const groupOf = Object.fromEntries(groups.map((g) => [key(g) + g.arm, g]));

// What is hidden (values of factors, and arms), which runs are unfolded, how the table is sorted.
const view = {
  hidden: Object.fromEntries([["arm", new Set()], ...factors.map((f) => [f, new Set()])]),
  unfolded: new Set(),
  sort: { by: "mean", down: true },
};

const shows = (item) =>
  Object.entries(view.hidden).every(([f, off]) => item[f] === undefined || !off.has(item[f]));
const shownArms = () => arms.filter((arm) => !view.hidden.arm.has(arm.name));

// The items in lots of equal value of some factors, in the order of the study's own lists.
function lots(items, of) {
  const alike = Map.groupBy(items, (item) => key(item, of));
  return [...alike.values()].sort((a, b) => compare(rank(a[0], of), rank(b[0], of)));
}

// Of the study's footnotes those that a table meets, under the letters that they have everywhere.
function footnotes() {
  const all = study.notes || [];
  const met = new Set();
  return {
    flag(marks) {
      const own = all.filter(([letter]) => (marks || []).includes(letter));
      own.forEach((note) => met.add(note));
      const [letters, texts] = [0, 1].map((k) => own.map((note) => note[k]));
      const attributes = { class: "flag", title: texts.join("; ") };
      return own.length ? h("sup", attributes, letters.join(",")) : null;
    },
    list() {
      const item = (note, i) => (met.has(note) ? h("li", { value: i + 1 }, note[1]) : null);
      const items = all.map(item);
      return met.size ? h("ol", { class: "notes" }, items) : null;
    },
  };
}
