// The verdict, and the leaderboard: every metric with its interval, and the costs of each run.
const DECISIONS = { ship: "Ship", keep: "Keep", "not enough data": "Not enough data" };

function drawVerdict() {
  const { decision, text, run: chosen } = board.verdict;
  const first = runs[0];
  $("task").replaceChildren(h("strong", {}, board.task), ` · ${board.name}`);
  const facts = [
    ["data", board.size], ["runs", String(runs.length)], ["primary metric", board.primary],
    ...(board.incumbent === null ? [] : [["incumbent", runs[board.incumbent].name]]), ["confidence", `${(100 * board.confidence).toFixed(0)}%`], ["created", first.created.slice(0, 10)],
  ];
  $("verdict").className = `verdict ${decision.split(" ")[0]}`;
  $("verdict").replaceChildren(
    h("h1", {}, DECISIONS[decision] ?? decision, decision !== "not enough data" && chosen !== null && ` ${runs[chosen].name}`),
    h("p", { class: "why" }, text),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
  );
}

/** A line from low to high with a dot at the value, on a scale from `from` to `to`. */
function bar(score, from, to) {
  if (!score || score[VALUE] === null || !(to > from)) return h("span", { class: "track" });
  const at = (value) => percent((Math.min(Math.max(value, from), to) - from) / (to - from));
  const known = score[LOW] !== null && score[HIGH] !== null;
  return h("span", { class: "track", "aria-hidden": "true" },
    known && h("span", { class: "ci", css: { left: at(score[LOW]), right: `calc(100% - ${at(score[HIGH])})` } }),
    h("span", { class: "dot", css: { left: at(score[VALUE]) } }));
}

/** The range of a metric over all runs, intervals included. */
function range(metric, of = runs.map((run) => run.scores[metric])) {
  const ends = finite(of.flatMap((score) => (score ? [score[VALUE], score[LOW], score[HIGH]] : [])));
  return ends.length ? [Math.min(...ends), Math.max(...ends)] : [0, 1];
}

const arrow = (up) => (up === null ? "" : up ? "\u00a0↑" : "\u00a0↓");
const named = (metric) => metric.name + arrow(metric.up) + (metric.unreadable ? "\u00a0†" : "");
/** What the dagger behind a metric's name means. */
const unread = (metric) => (metric.unreadable
  ? `† cannot read ${count(metric.unreadable)} of ${count(board.n)} references: a perfect copy of one falls short of the best score, or a wrong text reaches it` : "");

function columns() {
  const scored = metrics.map((metric, i) => ({
    id: metric.name, label: named(metric), number: true, best: metric.up === false ? 1 : -1, value: (run) => valueOf(run, i),
    title: (metric.up === null ? "a diagnostic: neither direction is better" : metric.up ? "higher is better" : "lower is better")
      + (metric.unreadable ? `; ${unread(metric)}` : ""),
    cell: (run) => scoreCell(run.scores[i], i),
  }));
  const costs = [
    ["errors", (run) => run.usage.errors, errorCell], ["truncated", (run) => run.usage.truncated, null],
    ["prompt tokens", (run) => run.usage.prompt_tokens, null], ["completion tokens", (run) => run.usage.completion_tokens, null],
    ["cost, USD", (run) => run.usage.cost_usd, (run) => h("span", { title: run.usage.price }, fmt(run.usage.cost_usd, 2))],
    ["generation", (run) => run.usage.seconds, (run) => duration(run.usage.seconds)],
    ["training", (run) => run.finetune?.seconds ?? null, (run) => duration(run.finetune?.seconds)],
    ["training examples", (run) => run.finetune?.n_train ?? null, null],
    ["parameters", (run) => run.parameters, (run) => short(run.parameters)],
  ].map(([id, value, cell]) => ({ id, label: id, number: true, best: 1, value, cell: cell ?? ((run) => count(value(run))) }));
  return [
    { id: "run", label: "run", best: 1, value: (run) => run.name, cell: boardName },
    { id: "tie", label: "tie group", best: 1, value: (run) => run.group, title: "runs that share a letter are statistically tied",
      cell: (run) => h("span", { class: "letters" }, run.group || "–") },
    ...scored, ...costs.filter((column) => runs.some((run) => column.value(run) !== null)),
  ];
}

const nameCell = (run) => h("span", { class: "name", title: run.id }, run.name);
const boardName = (run) => [nameCell(run), runs[board.incumbent] === run && h("span", { class: "tag" }, "incumbent")];

function scoreCell(score, i) {
  if (!score || score[VALUE] === null) return "–";
  const digits = metrics[i].places;
  return [h("b", {}, fmt(score[VALUE], digits)), h("small", {}, interval(score[LOW], score[HIGH], digits)), bar(score, ...range(i))];
}

function errorCell(run) {
  const score = run.scores[0];
  if (!run.usage.errors) return "0";
  const known = score && score[WORST] !== null && score[BEST] !== null;
  const digits = metrics[0].places;
  return [h("b", { class: "bad" }, count(run.usage.errors)),
    known && h("small", { title: `${board.primary} with all errors counted as wrong, and as right` },
      `${fmt(score[WORST], digits)} to ${fmt(score[BEST], digits)}`)];
}

function drawLeaderboard(panel) {
  const all = columns();
  const by = all.find((column) => column.id === state.sort);
  const way = by ? (state.dir === "reversed" ? -1 : 1) * by.best : 1;
  const shown = [...runs];
  if (by) shown.sort((a, b) => compare(by.value(a), by.value(b), way));
  const heads = all.map((column) => {
    const sorted = by ? by === column : column.id === board.primary;
    const up = by ? way > 0 : metrics[0].up === false;
    return h("th", { scope: "col", class: column.number ? "number" : "", "aria-sort": sorted ? (up ? "ascending" : "descending") : null },
      h("button", { type: "button", title: column.title, "data-sort": column.id, on: { click: () => sortBy(column, by) } }, soft(column.label)));
  });
  const rows = shown.map((run) => h("tr", {}, all.map((column, k) => (k === 0
    ? h("th", { scope: "row" }, column.cell(run))
    : h("td", { class: (column.number ? "number" : "") + (column.id === board.primary ? " primary" : "") }, column.cell(run))))));
  fill(panel,
    h("h2", {}, "Leaderboard"),
    h("p", { class: "note" }, `Scores with their ${(100 * board.confidence).toFixed(0)}% intervals. Runs that share a letter are statistically tied on ${board.primary} `
      + "(Holm-adjusted paired tests). Click a column head to sort."),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Leaderboard" },
      h("table", { class: "board", id: "leaderboard-table" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows))),
    metrics.filter((metric) => metric.unreadable).map((metric) => h("p", { class: "note" }, h("b", {}, metric.name), ` ${unread(metric)}`)),
    remarkList());
}

function sortBy(column, by) {
  change(by === column ? { dir: state.dir ? "" : "reversed" } : { sort: column.id, dir: "" });
  document.querySelector(`[data-sort="${CSS.escape(column.id)}"]`)?.focus();
}

/** Compare two values for sorting, missing ones last. */
function compare(a, b, way) {
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  return (a < b ? -1 : a > b ? 1 : 0) * way;
}

function remarkList() {
  const names = new Map();
  for (const run of runs) for (const remark of run.remarks) names.set(remark, [...(names.get(remark) ?? []), run.name]);
  if (!names.size) return [];
  const remarks = [...names].map(([remark, of]) => h("li", {}, h("b", {}, of.length === runs.length && of.length > 1 ? `all ${of.length} runs` : of.join(", ")), `: ${remark}`));
  return [h("details", { class: "remarks", open: remarks.length <= 6 }, h("summary", {}, `Errors and warnings (${remarks.length})`), h("ul", {}, remarks))];
}
