// The scores and cost tabs: every run's interval on one axis, the difference of every pair, and quality against cost.
function metricChoice() {
  return choice("metric", state.metric, metrics.map((m) => [m.name, named(m)]), (metric) => change({ metric }));
}

/** A forest plot: rows of a name, an interval and a value over one axis; `rows` are {name, title, group, score, text, strong}. */
function forest(rows, { from, to, digits, zero = false, label }) {
  const pad = (to - from || 1) * 0.04;
  const [low, high] = [from - pad, to + pad];
  const marks = ticks(low, high);
  const precision = places(marks);
  const at = (value) => percent((value - low) / (high - low));
  const grid = () => h("span", { class: "grid", "aria-hidden": "true" },
    marks.map((v) => h("i", { css: { left: at(v) }, class: zero && v === 0 ? "zero" : "" })));
  return h("div", { class: zero ? "forest effects" : "forest", role: "table", "aria-label": label },
    rows.map((row) => h("div", { role: "row", class: row.strong ? "strong" : "" },
      h("span", { role: "rowheader", class: "name", title: row.title }, row.name, row.group && h("span", { class: "letters" }, row.group)),
      h("span", { role: "presentation", class: "lane" }, grid(), bar(row.score, low, high)),
      h("span", { role: "cell", class: "value" }, row.text ?? [h("b", {}, fmt(row.score[VALUE], digits)), " ", h("small", {}, interval(row.score[LOW], row.score[HIGH], digits))]))),
    h("div", { class: "axis", "aria-hidden": "true" }, h("span"),
      h("span", { class: "lane" }, marks.map((v) => h("i", { css: { left: at(v) } }, zero && v !== 0 ? signed(v, precision) : v.toFixed(precision)))), h("span")));
}

function drawScores(panel) {
  const i = metricAt.get(state.metric);
  const metric = metrics[i];
  const primary = i === 0;
  const scored = runs.filter((run) => valueOf(run, i) !== null)
    .sort((a, b) => compare(valueOf(a, i), valueOf(b, i), metric.up === false ? 1 : -1));
  const [from, to] = range(i);
  const rows = scored.map((run) => ({ name: run.name, title: run.id, group: primary ? run.group : "", score: run.scores[i] }));
  fill(panel,
    h("div", { class: "head" }, h("h2", {}, `Scores: ${named(metric)}`), metricChoice()),
    h("p", { class: "note" }, `${(100 * board.confidence).toFixed(0)}% intervals: ${metric.interval}. Signature: `, h("code", {}, metric.signature)),
    metric.unreadable > 0 && h("p", { class: "note" }, unread(metric)),
    rows.length ? forest(rows, { from, to, digits: metric.places, label: `${metric.name} of each run` }) : h("p", {}, "No run has a score for this metric."),
    board.pairs.length > 0 && pairTable());
}

function pairTable() {
  const level = 1 - board.confidence;
  const pairAt = new Map(board.pairs.map((pair) => [`${pair[0]},${pair[1]}`, pair]));
  const digits = metrics[0].places;
  const most = Math.max(1e-12, ...finite(board.pairs.map((pair) => pair[2])).map(Math.abs));
  const cell = (i, j) => {
    if (i === j) return h("td", { class: "self" }, "");
    const [, , difference, low, high, p] = pairAt.get(`${Math.min(i, j)},${Math.max(i, j)}`);
    const way = i < j ? 1 : -1;
    if (difference === null) return h("td", {}, "–");
    const ends = interval(...(low === null || high === null || way > 0 ? [low, high] : [-high, -low]), digits, signed);
    const significant = p !== null && p <= level;
    const good = difference * way * (metrics[0].up === false ? -1 : 1) > 0;
    return h("td", { class: `${good ? "up" : "down"}${significant ? " significant" : ""}`, css: { "--heat": percent(0.5 * Math.abs(difference) / most) },
      title: `${runs[i].name} minus ${runs[j].name}: ${signed(difference * way, digits)} ${ends}, adjusted p ${probability(p)}` }, signed(difference * way, digits));
  };
  return [
    h("h3", {}, `Differences of ${board.primary}, row minus column`),
    h("p", { class: "note" }, "Bold: significantly different after Holm's adjustment over all pairs. Point at a cell to see its interval and p-value."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences between runs" }, h("table", { class: "heat pairs" },
      h("thead", {}, h("tr", {}, h("td"), runs.map((run, j) => h("th", { scope: "col", title: run.name }, h("span", { class: "tall" }, run.name))))),
      h("tbody", {}, runs.map((run, i) => h("tr", {}, h("th", { scope: "row" }, nameCell(run)), runs.map((_, j) => cell(i, j))))))),
  ];
}

const STANDINGS = {
  front: "on the Pareto front: no run as good costs less", tied: "behind the front, but statistically tied with the better runs", dominated: "dominated: a run that costs no more is significantly better",
};

function drawCost(panel) {
  fill(panel, h("h2", {}, `${board.primary} against cost`),
    h("p", { class: "note" }, "Filled: on the Pareto front. Ring: behind it, but statistically tied with the better runs. Small: dominated by a run that costs no more and is significantly better."),
    h("div", { class: "curves" }, board.fronts.map((front) => h("figure", {}, h("figcaption", {}, front.title), scatter(front)))),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Quality and cost" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "run"), h("th", { scope: "col", class: "number" }, named(metrics[0])),
        board.fronts.flatMap((front) => [h("th", { scope: "col", class: "number" }, front.title), h("th", { scope: "col" }, "Pareto front")]))),
      h("tbody", {}, runs.map((run, i) => h("tr", {}, h("th", { scope: "row" }, nameCell(run)), h("td", { class: "number" }, fmt(valueOf(run, 0), metrics[0].places)),
        board.fronts.flatMap((front) => {
          const point = front.points.find(([at]) => at === i);
          return [h("td", { class: "number" }, point ? Number(point[1].toPrecision(3)).toLocaleString("en-US") : "–"),
            h("td", {}, point ? h("span", { class: point[2] === "front" ? "tag good" : "", title: STANDINGS[point[2]] }, point[2] === "front" ? "on front" : point[2]) : "")];
        })))))));
}

function scatter(front) {
  const points = front.points.map(([at, cost, standing]) => ({ run: runs[at], cost, standing, score: valueOf(runs[at], 0) }));
  const wide = Math.max(...points.map((p) => p.cost)) > 10 * Math.min(...points.map((p) => p.cost)) && points.every((p) => p.cost > 0);
  const along = (cost) => (wide ? Math.log10(cost) : cost);
  const [x0, x1] = [Math.min(...points.map((p) => along(p.cost))), Math.max(...points.map((p) => along(p.cost)))];
  const [y0, y1] = [Math.min(...points.map((p) => p.score)), Math.max(...points.map((p) => p.score))];
  const padX = (x1 - x0 || 1) * 0.06, padY = (y1 - y0 || 1) * 0.08;
  const x = (v) => MARGIN.left + ((v - x0 + padX) / (x1 - x0 + 2 * padX)) * (WIDE - MARGIN.left - MARGIN.right);
  const y = (v) => TALL - MARGIN.bottom - ((v - y0 + padY) / (y1 - y0 + 2 * padY)) * (TALL - MARGIN.top - MARGIN.bottom);
  const marksY = ticks(y0 - padY, y1 + padY, 4), marksX = ticks(x0 - padX, x1 + padX, 4);
  const best = points.filter((p) => p.standing === "front").sort((a, b) => a.cost - b.cost);
  const step = best.map((p, k) => (k ? `H${x(along(p.cost)).toFixed(1)}V${y(p.score).toFixed(1)}` : `M${x(along(p.cost)).toFixed(1)} ${y(p.score).toFixed(1)}`)).join("");
  return s("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": `${board.primary} against ${front.title}: the figures are in the table below` },
    marksY.map((v) => [s("path", { class: "rule", d: `M${MARGIN.left} ${y(v)}H${WIDE - MARGIN.right}` }), s("text", { x: MARGIN.left - 6, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(places(marksY)))]),
    marksX.map((v) => s("text", { x: x(v), y: TALL - 10, "text-anchor": "middle" }, wide ? (10 ** v).toPrecision(2) : v.toFixed(places(marksX)))),
    step && s("path", { class: "stair", d: step }),
    points.map((p) => s("circle", { class: `point ${p.standing}`, cx: x(along(p.cost)), cy: y(p.score), r: p.standing === "dominated" ? 3 : 5 },
      s("title", {}, `${p.run.name}: ${fmt(p.score, metrics[0].places)} at ${Number(p.cost.toPrecision(3))}; ${STANDINGS[p.standing]}`))));
}
