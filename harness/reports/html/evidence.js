// What the differences rest on: slices, factors, what each metric can show, and where everything came from.
function drawSlices(panel) {
  const keys = [...new Set(board.slices.map(([key]) => key))];
  if (!keys.length) return fill(panel, h("h2", {}, "Slices"), h("p", {}, "The examples have no slices."));
  const i = metricAt.get(state.metric);
  const metric = metrics[i];
  const key = keys.includes(state.key) ? state.key : keys[0];
  const rows = board.slices.flatMap(([k, value], at) => (k === key ? [{ value, at }] : []));
  const against = board.compared.reference[key];
  const detail = h("p", { class: "detail", role: "status", "aria-live": "polite" }, "Point at a cell, or walk with the arrow keys, for its interval.");
  const table = sliceTable(rows, i, detail);
  fill(panel,
    h("div", { class: "head" }, h("h2", {}, `${named(metric)} by ${key}`), metricChoice(),
      keys.length > 1 && choice("slices", key, keys.map((k) => [k, k]), (k) => change({ key: k })),
      choice("show", state.heat, [["score", "scores"], ["gap", "gap to the run's own mean"]], (heat) => change({ heat }))),
    h("p", { class: "note" }, "Darker is better within the table. Faint figures rest on fewer than 10 examples. A cell opens its completions.",
      i === 0 && against !== null && against !== undefined && ` ▲ better and ▼ worse than ${runs[against].name} there, by more than chance `
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
    const found = shown(run, at);
    if (found === null) return h("td", {}, "–");
    const score = run.slices[i][at];
    const share = high > low ? (found - low) / (high - low) : 0;
    const text = `${value} · ${run.name}: ${fmt(score[VALUE], metric.places)} ${interval(score, metric.places)}, `
      + `${score[N]} examples${score[ERRORS] ? `, ${score[ERRORS]} errors` : ""}`;
    const [mark, difference, lower, upper, p] = (i === 0 && board.compared.marks[runs.indexOf(run)][at]) || [""];
    const told = { better: " ▲", worse: " ▼" }[mark] ?? "";
    const than = difference === null || difference === undefined ? "" : `; ${signed(difference, metric.places)} [${signed(lower, metric.places)}, ${signed(upper, metric.places)}] `
      + `against ${runs[board.compared.reference[board.slices[at][0]]].name}, adjusted p ${probability(p ?? null)}`;
    const tell = () => { detail.textContent = text + than; };
    return h("td", { class: score[N] < 10 ? "few" : "", css: { "--heat": percent(0.55 * (metric.up === false ? 1 - share : share)) } },
      h("button", { type: "button", title: text + than, "aria-label": text + than, tabindex: "-1", on: { focus: tell, mouseenter: tell, click: () => openSlice(at, run) } },
        gap ? signed(found, metric.places) : fmt(found, metric.places), told && h("span", { class: mark }, told)));
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

/** Arrow keys go from cell to cell; only one cell is a tab stop. */
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
    text: [h("b", {}, signed(e.difference, digits)), " ", h("small", {}, `${e.low === null ? "no interval" : `[${signed(e.low, digits)}, ${signed(e.high, digits)}]`}, ${n}`)] });
  const scale = (effects) => {
    const ends = finite(effects.flatMap((e) => [e.difference, e.low, e.high, 0]));
    return { from: Math.min(...ends), to: Math.max(...ends), digits, zero: true };
  };
  const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;
  fill(panel,
    h("h2", {}, "What each setting bought"),
    h("p", { class: "note" }, `The change in ${board.primary} between runs that differ in one setting alone, averaged over them. The interval is over `
      + "examples, for these fine-tunes, and not over other training seeds. Bold: more than chance, adjusted over all effects."),
    ...factors.flatMap((factor) => [h("h3", {}, factor), forest(board.effects.filter((e) => e.factor === factor)
      .map((e) => row(`${e.against} → ${e.level}`, e, plural(e.pairs, "pair", "pairs"))), { ...scale(board.effects), label: `Effect of ${factor}` })]),
    ...(board.interactions.length ? [h("h3", {}, "Interactions"),
      h("p", { class: "note" }, "How much more the first change brings when the second is made too."),
      forest(board.interactions.map((e) => row(e.factors.map((factor, k) => `${factor} ${e.against[k]} → ${e.levels[k]}`).join(" × "), e,
        plural(e.squares, "square", "squares"))), { ...scale(board.interactions), label: "Interactions" })] : []));
}

function drawMetrics(panel) {
  const rows = board.validity.map((v) => {
    const metric = metrics[metricAt.get(v.metric)];
    const digits = metric?.places ?? 3;
    return h("tr", { class: v.saturation ? "blunt" : "" }, h("th", { scope: "row" }, metric ? named(metric) : v.metric),
      h("td", { class: "number" }, v.pairs ? h("span", { class: "meter", css: { "--share": percent(v.separated / v.pairs) } }, `${v.separated} of ${v.pairs}`) : "not tested"),
      h("td", { class: "number" }, `${fmt(v.lowest, digits)} to ${fmt(v.highest, digits)}`),
      h("td", {}, v.saturation ? h("span", { class: "tag" }, `at the ${v.saturation}`) : "–"), h("td", { class: "number" }, count(v.n_needed)));
  });
  fill(panel,
    h("h2", {}, "What each metric can show here"),
    h("p", { class: "note" }, `Pairs of runs told apart on these ${count(board.n)} examples after Holm's adjustment, and the examples that the median `
      + "difference between two runs would need to show. A metric at the floor or the ceiling for every run is useless for choosing."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Metrics" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "metric"), h("th", { scope: "col", class: "number" }, "pairs told apart"),
        h("th", { scope: "col", class: "number" }, "lowest to highest run"), h("th", { scope: "col" }, "saturation"), h("th", { scope: "col", class: "number" }, "examples needed"))), h("tbody", {}, rows))),
    board.agreement && agreementTables(board.agreement));
}

function agreementTables(found) {
  const matrix = (title, note, values) => [h("h3", {}, title), h("p", { class: "note" }, note),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, h("table", { class: "heat pairs corr" },
      h("thead", {}, h("tr", {}, h("td"), found.metrics.map((name) => h("th", { scope: "col" }, h("span", { class: "tall" }, name))))),
      h("tbody", {}, found.metrics.map((name, i) => h("tr", {}, h("th", { scope: "row" }, name), found.metrics.map((other, j) => {
        const value = values[i][j];
        if (i === j) return h("td", { class: "self" });
        return value === null ? h("td", { title: "does not vary" }, "–") : h("td", { class: value > 0 ? "" : "down", title: `${name} and ${other}`, css: { "--heat": percent(0.5 * value * value) } }, signed(value, 2));
      }))))))];
  return [
    ...found.redundant.map((same) => h("p", {}, h("b", {}, same.metrics.join(", ")), ` say the same here; ${same.keep} is enough.`)),
    ...matrix("Do metrics rank the examples alike?", `Spearman's rank correlation within a run, averaged over runs, ${count(found.examples)} examples; turned so that 1 means agreement on what is better.`, found.over_examples),
    ...matrix("Do metrics rank the runs alike?", `Spearman's rank correlation over ${found.runs} runs${found.runs < 5 ? ": too few to rely on" : ""}.`, found.over_runs),
  ];
}

function drawProvenance(panel) {
  const data = board.dataset;
  const copyable = (text) => h("span", { class: "copyable" }, h("code", {}, text),
    h("button", { type: "button", class: "copy", "aria-label": `Copy ${text}`, on: { click: (event) => copy(text, event.currentTarget) } }, "copy"));
  const said = (object) => Object.entries(object).filter(([, v]) => v !== "" && v !== null).map(([k, v]) => `${k} ${v}`).join(", ");
  fill(panel,
    h("h2", {}, "Where it came from"),
    h("dl", { class: "provenance" },
      h("dt", {}, "dataset"), h("dd", {}, `${data.name}, ${count(data.n_validation)} scored examples; source ${data.source}; licence ${data.licence}; fingerprint `, h("code", {}, data.fingerprint)),
      data.notices.map((notice) => h("dd", {}, `${count(notice.count)} ${notice.message}`)),
      h("dt", {}, "versions"), h("dd", {}, said(board.versions))),
    h("h3", {}, "Runs"),
    runs.map((run) => h("details", { class: "run" }, h("summary", {}, h("b", {}, run.name), " ", h("small", {}, `${run.id} · ${run.created}`)),
      h("dl", { class: "provenance" }, h("dt", {}, "run"), h("dd", {}, copyable(run.id)), h("dt", {}, "make it again"), h("dd", {}, copyable(run.command)),
        h("dt", {}, "model"), h("dd", {}, said(run.model)),
        run.served.length > 0 && [h("dt", {}, "answered by"), h("dd", {}, run.served.join(", "))],
        run.shutdown_date && [h("dt", {}, "ends"), h("dd", {}, run.shutdown_date)],
        run.usage.price && [h("dt", {}, "price"), h("dd", {}, run.usage.price)], h("dt", {}, "stages"),
        run.stages.map((stage) => h("dd", {}, h("code", {}, `${stage.name} ${stage.key}`), ` ${duration(stage.seconds)}, ${stage.n_computed} made, ${stage.n_cached} reused`))))),
    h("h3", {}, "Signatures: equal ones are comparable"),
    h("ul", { class: "signatures" }, metrics.map((metric) => h("li", {}, h("code", {}, metric.signature)))));
}
