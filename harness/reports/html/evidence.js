// The evidence: scores by slice, effects of settings, discriminative power of metrics, and provenance.
function drawSlices(panel) {
  const keys = [...new Set(board.slices.map(([key]) => key))];
  if (!keys.length) return fill(panel, h("h2", {}, "Slices"), h("p", {}, "The dataset has no slices."));
  const i = metricAt.get(state.metric);
  const metric = metrics[i];
  const key = keys.includes(state.key) ? state.key : keys[0];
  const rows = board.slices.flatMap(([k, value], at) => (k === key ? [{ value, at }] : []));
  const against = board.compared.reference[key];
  const detail = h("p", { class: "detail", role: "status", "aria-live": "polite" }, "Point at a cell, or move with the arrow keys, to see its interval.");
  const table = sliceTable(rows, i, detail);
  fill(panel,
    h("div", { class: "head" }, h("h2", {}, `${named(metric)} by ${key}`), metricChoice(),
      keys.length > 1 && choice("slices", key, keys.map((k) => [k, k]), (k) => change({ key: k })),
      choice("show", state.heat, [["score", "scores"], ["gap", "difference from the run's overall score"]], (heat) => change({ heat }))),
    h("p", { class: "note" }, "Darker is better within the table. Italic scores are of fewer than 10 examples. Click a cell to see its completions.",
      i === 0 && against !== null && against !== undefined && ` ▲ significantly better, ▼ significantly worse than ${runs[against].name} `
        + "(Benjamini-Hochberg-adjusted over all cells)."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${metric.name} by ${key}` }, table),
    detail);
}

function sliceTable(rows, i, detail) {
  const metric = metrics[i];
  const gap = state.heat === "gap";
  const shown = (run, at) => {
    const score = run.slices[i][at];
    if (!score || score[VALUE] === null) return null;
    return gap ? score[VALUE] - valueOf(run, i) : score[VALUE];
  };
  const all = finite(rows.flatMap(({ at }) => runs.map((run) => shown(run, at))));
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const cell = (run, { value, at }) => {
    const number = shown(run, at);
    if (number === null) return h("td", {}, "–");
    const score = run.slices[i][at];
    const share = high > low ? (number - low) / (high - low) : 0;
    const text = `${value} · ${run.name}: ${fmt(score[VALUE], metric.places)} ${interval(score[LOW], score[HIGH], metric.places)}, `
      + `${counted(score[N], "example")}${score[ERRORS] ? `, ${counted(score[ERRORS], "error")}` : ""}`;
    const [mark, difference, lower, upper, p] = (i === 0 && board.compared.marks[runs.indexOf(run)][at]) || [""];
    const sign = { better: " ▲", worse: " ▼" }[mark] ?? "";
    const than = difference === null || difference === undefined ? "" : `; ${signed(difference, metric.places)} ${interval(lower, upper, metric.places, signed)} `
      + `against ${runs[board.compared.reference[board.slices[at][0]]].name}, adjusted p ${probability(p ?? null)}`;
    const describe = () => { detail.textContent = text + than; };
    return h("td", { class: score[N] < 10 ? "few" : "", css: { "--heat": percent(0.55 * (metric.up === false ? 1 - share : share)) } },
      h("button", { type: "button", title: text + than, "aria-label": text + than, tabindex: "-1", on: { focus: describe, mouseenter: describe, click: () => openSlice(at, run) } },
        gap ? signed(number, metric.places) : fmt(number, metric.places), sign && h("span", { class: mark }, sign)));
  };
  const total = ({ at }) => Math.max(...runs.map((run) => (run.slices[i][at] ? run.slices[i][at][N] + run.slices[i][at][ERRORS] : 0)));
  const table = h("table", { class: "heat slices", on: { keydown: walk } },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "slice"), h("th", { scope: "col", class: "number" }, "n"),
      runs.map((run) => h("th", { scope: "col", title: run.name }, h("span", { class: "tall" }, run.name))))),
    h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.value), h("td", { class: "number" }, count(total(row))),
      runs.map((run) => cell(run, row))))));
  table.querySelector("button")?.setAttribute("tabindex", "0");
  return table;
}

/** Move from cell to cell with the arrow keys; only one cell is a tab stop. */
function walk(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const from = event.target.closest("td");
  if (!step || !from) return;
  const next = event.currentTarget.tBodies[0].rows[from.parentNode.sectionRowIndex + step[0]]?.cells[from.cellIndex + step[1]]?.querySelector("button");
  if (!next) return;
  event.preventDefault();
  event.target.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

function openSlice(at, run) {
  const ids = [...new Set([run.id, ...state.runs.split(",")])];
  change({ tab: "completions", slice: String(at), runs: ids.join(","), order: "score", a: run.id, way: "", page: "1", q: "", finish: "" });
}

function drawFactors(panel) {
  const digits = metrics[0].places;
  const factors = [...new Set(board.effects.map((effect) => effect.factor))];
  const row = (name, e, n) => ({ name, title: n, score: [e.difference, e.low, e.high], strong: e.p_adjusted !== null && e.p_adjusted <= 1 - board.confidence,
    text: [h("b", {}, signed(e.difference, digits)), " ", h("small", {}, `${interval(e.low, e.high, digits, signed)}, ${n}`)] });
  const scale = (effects) => {
    const ends = finite(effects.flatMap((e) => [e.difference, e.low, e.high, 0]));
    return { from: Math.min(...ends), to: Math.max(...ends), digits, zero: true };
  };
  fill(panel,
    h("h2", {}, "Effect of each setting"),
    h("p", { class: "note" }, `The mean difference in ${board.primary} between runs that differ only in this setting. Intervals are over `
      + "examples, for these fine-tunes, not over training seeds. Bold: significant after adjustment over all effects (Benjamini-Hochberg)."),
    ...factors.flatMap((factor) => [h("h3", {}, factor), forest(board.effects.filter((e) => e.factor === factor)
      .map((e) => row(`${e.against} → ${e.level}`, e, counted(e.pairs, "pair"))), { ...scale(board.effects), label: `Effect of ${factor}` })]),
    ...(board.interactions.length ? [h("h3", {}, "Interactions"),
      h("p", { class: "note" }, "How much larger the effect of the first change is with the second change than without it, averaged over sets of four runs that differ only in both."),
      forest(board.interactions.map((e) => row(e.factors.map((factor, k) => `${factor} ${e.against[k]} → ${e.levels[k]}`).join(" × "), e,
        counted(e.squares, "set"))), { ...scale(board.interactions), label: "Interactions" })] : []));
}

function drawMetrics(panel) {
  const rows = board.validity.map((v) => {
    const metric = metrics[metricAt.get(v.metric)];
    const digits = metric?.places ?? 3;
    return h("tr", { class: v.saturation ? "saturated" : "" }, h("th", { scope: "row" }, metric ? named(metric) : v.metric),
      h("td", { class: "number" }, v.pairs ? h("span", { class: "meter", css: { "--share": percent(v.separated / v.pairs) } }, `${v.separated} of ${v.pairs}`) : "not tested"),
      h("td", { class: "number" }, `${fmt(v.lowest, digits)} to ${fmt(v.highest, digits)}`),
      h("td", {}, v.saturation ? h("span", { class: "tag" }, `at the ${v.saturation}`) : "–"), h("td", { class: "number" }, count(v.n_needed)));
  });
  fill(panel,
    h("h2", {}, "Discriminative power of each metric"),
    h("p", { class: "note" }, `How many pairs of runs differ significantly on ${board.size} after Holm's adjustment, and the number of examples with which one test `
      + "detects the median difference between two runs with 80% power. A saturated metric, at the floor or the ceiling for every run, is useless for choosing."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Metrics" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "metric"), h("th", { scope: "col", class: "number" }, "significant pairs"),
        h("th", { scope: "col", class: "number" }, "range of scores"), h("th", { scope: "col" }, "saturation"), h("th", { scope: "col", class: "number" }, "n for 80% power"))), h("tbody", {}, rows))),
    board.agreement && agreementTables(board.agreement));
}

function agreementTables(agreement) {
  const matrix = (title, note, values) => [h("h3", {}, title), h("p", { class: "note" }, note),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", { class: "heat pairs corr" },
      h("thead", {}, h("tr", {}, h("td"), agreement.metrics.map((name) => h("th", { scope: "col" }, h("span", { class: "tall" }, name))))),
      h("tbody", {}, agreement.metrics.map((name, i) => h("tr", {}, h("th", { scope: "row" }, name), agreement.metrics.map((other, j) => {
        const value = values[i][j];
        if (i === j) return h("td", { class: "self" });
        return value === null ? h("td", { title: "undefined: a metric does not vary" }, "–") : h("td", { class: value > 0 ? "" : "down", title: `${name} and ${other}`, css: { "--heat": percent(0.5 * value * value) } }, signed(value, 2));
      }))))))];
  return [
    ...agreement.redundant.map((same) => h("p", {}, h("b", {}, same.metrics.join(", ")), ` are redundant here: keep ${same.keep}.`)),
    ...matrix("Do metrics rank the examples alike?", `Spearman's rank correlation over ${counted(agreement.examples, "example")} within a run, averaged over runs; 1 if both metrics agree on what is better.`, agreement.over_examples),
    ...matrix("Do metrics rank the runs alike?", `Spearman's rank correlation over ${counted(agreement.runs, "run")}${agreement.runs < 5 ? ": too few to rely on" : ""}.`, agreement.over_runs),
  ];
}

function drawProvenance(panel) {
  const data = board.dataset;
  const copyable = (text) => h("span", { class: "copyable" }, h("code", {}, text),
    h("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`, on: { click: (event) => copy(text, event.currentTarget) } }, "copy"));
  const listed = (object) => Object.entries(object).filter(([, v]) => v !== "" && v !== null).map(([k, v]) => `${k} ${v}`).join(", ");
  fill(panel,
    h("h2", {}, "Provenance"),
    h("dl", { class: "provenance" },
      h("dt", {}, "dataset"), h("dd", {}, `${data.name}, ${board.size}; source ${data.source}; licence ${data.licence}; fingerprint `, h("code", {}, data.fingerprint)),
      data.notices.map((notice) => h("dd", {}, `${count(notice.count)} ${notice.message}`)),
      h("dt", {}, "versions"), h("dd", {}, listed(board.versions))),
    h("h3", {}, "Runs"),
    runs.map((run) => h("details", { class: "run" }, h("summary", {}, h("b", {}, run.name), " ", h("small", {}, `${run.id} · ${run.created}`)),
      h("dl", { class: "provenance" }, h("dt", {}, "run"), h("dd", {}, copyable(run.id)), h("dt", {}, "reproduce"), h("dd", {}, copyable(run.command)),
        h("dt", {}, "model"), h("dd", {}, listed(run.model)),
        run.served.length > 0 && [h("dt", {}, "answered by"), h("dd", {}, run.served.join(", "))],
        run.shutdown_date && [h("dt", {}, "model retired on"), h("dd", {}, run.shutdown_date)],
        run.usage.price && [h("dt", {}, "price"), h("dd", {}, run.usage.price)], h("dt", {}, "stages"),
        run.stages.map((stage) => h("dd", {}, h("code", {}, `${stage.name} ${stage.key}`), ` ${duration(stage.seconds)}, ${count(stage.n_computed)} computed, ${count(stage.n_cached)} cached`))))),
    h("h3", {}, "Signatures: scores with equal signatures are comparable"),
    h("ul", { class: "signatures" }, metrics.map((metric) => h("li", {}, h("code", {}, metric.signature)))));
}
