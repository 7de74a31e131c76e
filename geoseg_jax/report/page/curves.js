// Charts of lines: the metric against labels, and learning curves; one small chart a condition.

const LONGEST = 26; // of a label beside its line, letters

// series: [{arm, points: [{x, y, low, high, facts}]}], in the frame `spec`, of one range for all.
function lineChart(spec, series) {
  const direct = spec.direct && spec.width > 460;
  const letters = Math.max(0, ...series.map(({ arm }) => cut(arm.label, LONGEST).length));
  const margin = { left: 40, right: direct ? 18 + 6.5 * letters : 12, top: 24, bottom: 40 };
  const inner = spec.marks ? 26 : 0; // room for marks beside one another
  const sides = [margin.left + inner, spec.width - margin.right - inner];
  const x = scale(spec.xKind, spec.xRange, sides);
  const y = scale("linear", spec.yRange, [spec.height - margin.bottom, margin.top]);
  const picture = frame({ ...spec, margin, x, y });
  const points = [];
  series.forEach(({ arm, points: of }, i) => {
    const room = spec.xTicks.length > 1 ? 34 : spec.width - margin.left - margin.right - 40;
    const gap = Math.min(spec.xTicks.length > 1 ? 5 : 40, room / series.length);
    const aside = spec.marks ? gap * (i - (series.length - 1) / 2) : 0;
    const places = of.map((p) => ({ ...p, px: x(p.x) + aside, py: y(p.y) }));
    picture.append(oneLine(arm, places, y, spec));
    for (const p of places)
      points.push({ x: p.px, y: p.py, arm, column: p.x, heading: arm.label, facts: p.facts });
  });
  if (direct) picture.append(...directLabels(series, y, spec, margin));
  return explore(picture, points);
}

function oneLine(arm, places, y, spec) {
  const line = places
    .map((p, i) => `${i ? "L" : "M"}${p.px.toFixed(1)},${p.py.toFixed(1)}`)
    .join("");
  const bars = places.filter((p) => known(p.low) && known(p.high));
  const clip = (v) => y(Math.max(spec.yRange[0], Math.min(spec.yRange[1], v)));
  const last = places[places.length - 1];
  return ofArm(arm, s, "g", { class: "series" }, [
    bars.map((p) =>
      s("line", { x1: p.px, x2: p.px, y1: clip(p.low), y2: clip(p.high), class: "whisker" }),
    ),
    s("path", { d: line, class: arm.dashed ? "line dashed" : "line" }),
    spec.marks
      ? places.map((p) => mark(arm, p.px, p.py))
      : last
        ? mark(arm, last.px, last.py, { r: 3.6 })
        : null,
  ]);
}

function directLabels(series, y, spec, margin) {
  const ends = series.filter((one) => one.points.length);
  const wanted = ends.map((one) => y(one.points[one.points.length - 1].y));
  const heights = spread(wanted, 15, margin.top, spec.height - margin.bottom);
  const left = spec.width - margin.right;
  return ends.map(({ arm }, i) => {
    const place = { x: left + 12, y: heights[i], dy: "0.34em", class: "direct" };
    return ofArm(arm, s, "g", { class: "series" }, [
      s("path", { d: `M${left - 2},${wanted[i]}L${left + 8},${heights[i]}`, class: "leader" }),
      s("text", place, cut(arm.label, LONGEST)),
    ]);
  });
}

function summary(g) {
  const facts = [
    [metric, `${g.text.mean} %`],
    ["95 % CI", g.text.ci],
    [`to ${referenceLabel}`, known(g.difference) ? `${g.text.difference} points` : ""],
    ["95 % CI", g.text.difference_ci],
    ["bootstrap", g.text.bootstrap],
    ["runs", g.n],
  ];
  return facts.filter(([, value]) => value !== "");
}

// The width of n charts in as many columns as fit, all alike.
function widthOf(n, box, wanted, gap = 28) {
  const most = Math.max(1, Math.floor((box.clientWidth + gap) / (wanted + gap)));
  return Math.floor((box.clientWidth - gap * (Math.min(n, most) - 1)) / Math.min(n, most));
}

const small = (charts) =>
  h("div", { class: "charts" }, charts.map(([heading, picture]) =>
    h("figure", heading ? h("figcaption", heading) : null, picture),
  ));

const chartLabel = (what, of) => `${what}${of ? `, ${of}` : ""}. Arrow keys go through the values.`;

const seriesBy = (pointsOf) =>
  shownArms().map((arm) => ({ arm, points: pointsOf(arm) })).filter((one) => one.points.length);

// A chart of the metric for each [heading, series], in frames of one kind and range.
function metricCharts(panels, what, spec) {
  const [first = 0, second = 1] = spec.yTicks;
  const digits = Math.max(0, Math.ceil(-Math.log10(100 * (second - first)) - 1e-9));
  const shared = { ...spec, yWord: (v) => percent(v, digits), yTitle: `${metric}, %` };
  return small(
    panels.map(([heading, series]) => [
      heading,
      lineChart({ ...shared, label: chartLabel(what, heading) }, series),
    ]),
  );
}

function againstLabels(box) {
  const shown = groups.filter((g) => shows(g) && known(g.mean));
  const at = (labels) => labels || 2 * Math.max(1, ...values.labels); // all stand at the end
  const labels = unique(shown.map((g) => at(g.labels))).sort((a, b) => a - b);
  const panels = lots(shown, besides);
  const width = widthOf(panels.length, box, 440);
  const ends = shown.flatMap((g) => [g.mean, g.low, g.high]).filter(known);
  const y = span(ends.map((v) => Math.max(0, Math.min(1, v))), 7);
  const pointOf = (g) => {
    const facts = [["labels", labelCount(g.labels)], ...summary(g)];
    return { x: at(g.labels), y: g.mean, low: g.low, high: g.high, facts };
  };
  const pointsOf = (panel) => (arm) =>
    panel.filter((g) => g.arm === arm.name).map(pointOf).sort((a, b) => a.x - b.x);
  const charts = panels.map((of) => [named(of[0], besides), seriesBy(pointsOf(of))]);
  return metricCharts(charts, `${metric} against labels`, {
    width,
    height: width < 420 ? 320 : 400,
    marks: true,
    direct: true,
    xKind: "log2",
    xRange: [labels[0], labels[labels.length - 1]],
    yRange: y.range,
    xTicks: labels,
    yTicks: y.at,
    xWord: (n) => labelCount(n === at(0) ? 0 : n),
    xTitle: "labelled pictures",
  });
}

// The mean over an arm's runs at each step that all of them have.
function meanCurve(of) {
  const curves = of.map((row) => new Map((row.curve || []).filter(([, y]) => known(y))));
  const there = curves.filter((curve) => curve.size);
  if (!there.length) return [];
  const steps = [...there[0].keys()].filter((x) => there.every((curve) => curve.has(x)));
  return steps.sort((a, b) => a - b).map((x) => {
    const all = there.map((curve) => curve.get(x));
    const facts = [
      ["step", count(x)],
      [metric, `${percent(mean(all))} %`],
      ["range", `${percent(Math.min(...all))} to ${percent(Math.max(...all))}`],
      ["runs", all.length],
    ];
    return { x, y: mean(all), facts };
  });
}

function learning(box) {
  const pointsOf = (panel) => (arm) => meanCurve(panel.filter((row) => row.arm === arm.name));
  const panels = lots(rows.filter(shows), varying)
    .map((of) => [named(of[0]), seriesBy(pointsOf(of))])
    .filter(([, series]) => series.length);
  const all = panels.flatMap(([, series]) => series.flatMap((one) => one.points));
  if (!all.length) return null;
  const y = span(all.map((p) => p.y), 5);
  const last = Math.max(...all.map((p) => p.x));
  return metricCharts(panels, "Learning curves", {
    width: widthOf(panels.length, box, 300),
    height: 230,
    xKind: "linear",
    xRange: [0, last],
    yRange: y.range,
    xTicks: ticks(0, last, 4).filter((v) => v <= last),
    yTicks: y.at,
    xWord: count,
    xTitle: "steps",
  });
}

// How many labels an arm needs as a multiple of the reference's: one row an arm, few to the left.
function efficiency(box) {
  const shown = (study.efficiency || []).filter((item) => shows(item) && known(item.ratio));
  const panels = lots(shown, besides);
  if (!panels.length) return null;
  const width = widthOf(panels.length, box, 460);
  const most = shown
    .flatMap((item) => [item.ratio, item.ratio_low, item.ratio_high])
    .filter(known)
    .map((v) => Math.abs(Math.log2(v)));
  const octaves = Math.max(1, Math.min(5, Math.ceil(Math.max(...most))));
  return small(panels.map((panel) => [named(panel[0], besides), labelRows(panel, width, octaves)]));
}

function labelRows(panel, width, octaves) {
  const found = shownArms()
    .map((arm) => panel.find((item) => item.arm === arm.name))
    .filter(Boolean)
    .sort((a, b) => a.ratio - b.ratio);
  const margin = { left: 132, right: 84, top: 6, bottom: 40 };
  const height = margin.top + margin.bottom + 27 * found.length;
  const ends = [2 ** -octaves, 2 ** octaves];
  const x = scale("log2", ends, [margin.left + 8, width - margin.right]);
  const at = (v) => x(Math.max(ends[0], Math.min(ends[1], v)));
  const row = (i) => margin.top + 27 * (i + 0.5);
  const picture = frame({
    width,
    height,
    margin: { ...margin, right: margin.right - 8 },
    x,
    y: row,
    xTicks: Array.from({ length: 2 * octaves + 1 }, (_, k) => 2 ** (k - octaves)),
    yTicks: [],
    xWord: (v) => (v < 1 ? `1/${Math.round(1 / v)}` : String(v)),
    yWord: String,
    xTitle: `times the labels of ${cut(referenceLabel, 24)}`,
    yTitle: "",
    label: chartLabel("Labels needed", named(panel[0], besides)),
  });
  const upright = { y1: margin.top, y2: height - margin.bottom, class: "zero" };
  picture.append(s("line", { x1: x(1), x2: x(1), ...upright }));
  const points = found.map((item, i) => {
    const arm = armOf[item.arm];
    const line = { y1: row(i), y2: row(i), class: "whisker" };
    const text = { x: width - margin.right + 14, y: row(i), dy: "0.34em", class: "direct value" };
    picture.append(
      ofArm(arm, s, "g", { class: "series" }, [
        s("text", { x: 0, y: row(i), dy: "0.34em", class: "direct" }, cut(arm.label, 19)),
        known(item.ratio_low)
          ? s("line", { x1: at(item.ratio_low), x2: at(item.ratio_high), ...line })
          : null,
        mark(arm, at(item.ratio), row(i), { hollow: !item.shown }),
        s("text", text, item.shown ? item.text.ratio : "not shown"),
      ]),
    );
    const facts = [
      ["times the labels (95 % CI)", item.text.multiple],
      ["corrected p", item.text.p],
    ];
    return { x: at(item.ratio), y: row(i), arm, column: 0, heading: arm.label, facts };
  });
  return explore(picture, points);
}
