// One example as a card: its reference, the completions of the selected runs with differing words marked, all scores.
const segmenter = new Intl.Segmenter("en", { granularity: "word" });
const CELLS = 1e6; // the largest table for the longest common subsequence; longer texts are compared as sets of words

const parts = (text) => [...segmenter.segment(text)].map(({ segment, isWordLike }) => ({ segment, word: isWordLike ? segment.toLowerCase() : null }));

/** Return which words of `own` are not in the longest common subsequence with `other`. */
function unmatched(own, other) {
  const [n, m] = [own.length, other.length];
  if (n * m > CELLS) {
    const known = new Set(other);
    return own.map((word) => !known.has(word));
  }
  const width = m + 1;
  const best = new Uint32Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      best[i * width + j] = own[i] === other[j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    }
  }
  const result = new Array(n).fill(true);
  for (let i = 0, j = 0; i < n && j < m;) {
    if (own[i] === other[j]) { result[i] = false; i++; j++; } else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) i++; else j++;
  }
  return result;
}

/** Return the text as nodes, with what differs from `other` marked; adjacent marks are merged. */
function marked(text, other) {
  if (other === null || other === undefined) return [text];
  const own = parts(text);
  const differing = unmatched(own.flatMap((p) => p.word ?? []), parts(other).flatMap((p) => p.word ?? []));
  let k = 0;
  const pieces = [];
  for (const { segment, word } of own) {
    const differs = word === null ? null : differing[k++];
    const last = pieces.at(-1);
    if (last && (differs === null || last.differs === differs)) last.text += segment;
    else pieces.push({ text: segment, differs: differs ?? false });
  }
  return pieces.map(({ text: piece, differs }) => {
    if (!differs) return piece;
    const end = piece.trimEnd();
    return [h("mark", {}, end), piece.slice(end.length)];
  });
}

function card(i, data) {
  const { examples, chosen, metric, scores, texts } = data;
  const id = examples.ids[i];
  const against = {
    reference: () => examples.references?.[i], none: () => null,
    first: (run) => (run === chosen[0] ? null : texts.get(chosen[0]).texts[i]),
  }[state.diff];
  const slices = Object.entries(examples.slices).filter(([, of]) => of[i] !== null && of[i] !== undefined)
    .map(([key, of]) => h("button", { type: "button", class: "tag", title: `Show only ${key}: ${of[i]}`, on: {
      click: () => change({ slice: String(board.slices.findIndex(([k, v]) => k === key && v === of[i])), page: "1", ex: "" }) } }, of[i]));
  return h("article", { tabindex: "-1", "data-example": id, "aria-label": examples.prompts[i] },
    h("header", {}, h("h3", {}, examples.prompts[i]), slices,
      h("span", { class: "tools" },
        h("button", { type: "button", class: "copy", title: `Copy the id: ${id}`, on: { click: (event) => copy(id, event.currentTarget) } }, "id"),
        h("button", { type: "button", class: "copy", title: "Copy a link to this example in this view",
          on: { click: (event) => copy(location.href.split("#")[0] + address({ ex: id }), event.currentTarget) } }, "link"))),
    h("dl", {},
      examples.references && line("reference", h("dt", {}, "reference"), h("dd", {}, h("span", { class: "text" }, examples.references[i]))),
      chosen.map((run) => answer(run, texts.get(run), i, scores[run][i], metric, against(run)))),
    h("details", { on: { toggle: (event) => event.target.open && allScores(event.target, i, data) } }, h("summary", {}, "all scores")));
}

const line = (kind, ...children) => h("div", { class: kind }, ...children);

function answer(run, of, i, score, metric, other) {
  const finish = of.finish[i] ?? "-";
  const text = of.texts[i];
  const figures = h("span", { class: "figures" }, h("b", { title: metrics[metric].name }, fmt(score, metrics[metric].places)),
    finish === "l" && h("span", { class: "tag truncated" }, "truncated"),
    of.tokens[i] !== null && of.tokens[i] !== undefined && h("small", {}, counted(of.tokens[i], "token")));
  let shown = h("span", { class: "text none" }, "this run does not have this example");
  if (finish === "e") shown = h("span", { class: "text bad" }, `error: ${of.errors[i] ?? ""}`);
  else if (finish !== "-") shown = text ? h("span", { class: "text" }, marked(text, other)) : h("span", { class: "text none" }, "(empty)");
  return line("answer", h("dt", {}, nameCell(runs[run]), figures), h("dd", {}, shown, finish !== "-" && behind(run, of.more?.[i] ?? [], i)));
}

/** What is behind a completion, on demand: the prompt as the model got it, its reasoning, the text as it came. */
function behind(run, [reasoning, raw], i) {
  const names = ["prompt", reasoning && "reasoning", raw && "text as it came"].filter(Boolean);
  const draw = async (event) => {
    const details = event.target;
    if (!details.open || details.dataset.drawn) return;
    details.dataset.drawn = "1";
    const prompt = (await loadPrompts(run))[i] || "(not in this report)";
    details.append(h("dl", {}, [["prompt", prompt], ["reasoning", reasoning], ["text as it came", raw]].filter(([, text]) => text)
      .map(([name, text]) => line("behind", h("dt", {}, name), h("dd", {}, h("span", { class: "text" }, text))))));
  };
  return h("details", { class: "behind", on: { toggle: draw } }, h("summary", {}, names.join(", ")));
}

async function allScores(details, i, { chosen }) {
  if (details.dataset.drawn) return;
  details.dataset.drawn = "1";
  const all = await Promise.all(metrics.map((_, k) => loadMetric(k)));
  details.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "All scores of this example" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "run"), metrics.map((m) => h("th", { scope: "col", class: "number" }, named(m))))),
    h("tbody", {}, chosen.map((run) => h("tr", {}, h("th", { scope: "row" }, nameCell(runs[run])),
      metrics.map((m, k) => h("td", { class: "number" }, fmt(all[k][run][i], m.places)))))))));
}

/** Make the filters, once; their values follow the address. */
function controls() {
  const field = (label, name, options) => h("label", { class: `field of-${name}` }, h("span", {}, label),
    h("select", { name, on: { change: (event) => change({ [name]: event.target.value, page: "1", ex: "" }) } }, options.map(([value, text]) => h("option", { value }, text))));
  const byName = runs.map((run) => [run.id, run.name]);
  let wait = 0;
  const search = h("input", { type: "search", name: "q", id: "search", placeholder: "prompt or id", autocomplete: "off", spellcheck: "false",
    on: { input: (event) => { clearTimeout(wait); wait = setTimeout(() => change({ q: event.target.value, page: "1", ex: "" }), 150); } } });
  const boxes = runs.map((run) => h("label", {}, h("input", { type: "checkbox", name: "run", value: run.id, on: { change: chooseRuns } }), " ", run.name));
  return h("form", { class: "controls", role: "search", "aria-label": "Completions", on: { submit: (event) => event.preventDefault() } },
    h("label", { class: "field wide" }, h("span", {}, "search"), search),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "deep", on: { change: (event) => change({ deep: event.target.checked ? "1" : "", page: "1", ex: "" }) } }), " also in completions and references"),
    board.slices.length > 0 && field("slice", "slice", [["", "all"], ...board.slices.map(([key, value], at) => [String(at), `${key}: ${value}`])]),
    field("finish", "finish", Object.entries(ENDINGS)),
    field("metric", "metric", metrics.map((m) => [m.name, named(m)])),
    field("sort by", "order", Object.entries(ORDERS)), field("A", "a", byName), field("B", "b", byName),
    field("order", "way", [["", "best or largest first"], ["reversed", "worst or smallest first"]]),
    field("mark differences", "diff", [...(board.references ? [["reference", "from the reference"]] : []), ["first", "from the first run"], ["none", "none"]]),
    field("layout", "layout", [["rows", "rows"], ["columns", "columns"]]), field("per page", "size", ["10", "20", "50", "100"].map((n) => [n, n])),
    h("details", { class: "runs" }, h("summary", { id: "run-count" }), h("div", {}, boxes)));
}

function chooseRuns(event) {
  const boxes = [...view.form.querySelectorAll("[name=run]:checked")];
  if (!boxes.length) { event.target.checked = true; return; }
  change({ runs: boxes.map((box) => box.value).join(","), ex: "" });
}
