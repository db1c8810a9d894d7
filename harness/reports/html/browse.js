// The completions tab: filters, search, sorting and pages.
const ENDINGS = { "": "any", l: "some truncated", e: "some failed", s: "all complete", same: "all identical", differ: "not all identical" };
const ORDERS = { data: "dataset order", score: "score of A", difference: "A minus B", disagreement: "disagreement of the selected runs" };

/** Load the blocks that the current view needs, and no others. */
async function loaded() {
  const chosen = chosenRuns();
  const pair = { score: [state.a], difference: [state.a, state.b] }[state.order] ?? [];
  const needed = [...new Set([...chosen, ...pair.map((id) => runAt.get(id))])];
  const metric = metricAt.get(state.metric);
  const [examples, scores, ...texts] = await Promise.all([loadExamples(), loadMetric(metric), ...needed.map(loadRun)]);
  return { chosen, metric, examples, scores, texts: new Map(needed.map((run, k) => [run, texts[k]])) };
}

/** Return the positions of the examples that match the filters, in the selected order. */
function selected(view) {
  const { examples, chosen, texts } = view;
  const matching = [];
  const [key, value] = board.slices[Number(state.slice)] ?? [];
  const inSlice = state.slice === "" ? null : examples.slices[key];
  const needle = state.q.trim().toLowerCase();
  const of = chosen.map((run) => texts.get(run));
  for (let i = 0; i < examples.ids.length; i++) {
    if (inSlice && inSlice[i] !== value) continue;
    if (state.finish && !ends(of, i)) continue;
    if (needle && !mentions(view, of, i, needle)) continue;
    matching.push(i);
  }
  return ordered(matching, view);
}

function ends(of, i) {
  if (state.finish === "s") return of.every((run) => run.finish[i] === "s");
  if (state.finish === "same" || state.finish === "differ") return of.every((run) => run.texts[i] === of[0].texts[i]) === (state.finish === "same");
  return of.some((run) => run.finish[i] === state.finish);
}

function mentions({ examples }, of, i, needle) {
  if (examples.folded[i].includes(needle)) return true;
  return state.deep === "1" && (examples.references?.[i].toLowerCase().includes(needle) || of.some((run) => run.texts[i]?.toLowerCase().includes(needle)));
}

function ordered(positions, { chosen, metric, scores }) {
  if (state.order === "data") return state.way ? positions.reverse() : positions;
  const better = metrics[metric].up === false ? -1 : 1;
  const [a, b] = [scores[runAt.get(state.a)], scores[runAt.get(state.b)]];
  const key = {
    score: (i) => better * a[i],
    difference: (i) => better * (a[i] - b[i]),
    disagreement: (i) => {
      const known = chosen.map((run) => scores[run][i]).filter((v) => !Number.isNaN(v));
      return known.length > 1 ? Math.max(...known) - Math.min(...known) : NaN;
    },
  }[state.order];
  const keys = new Float64Array(scores[0].length);
  for (const i of positions) keys[i] = key(i);
  const way = state.way ? 1 : -1;
  return positions.sort((i, j) => compare(keys[i], keys[j], way) || i - j);
}

const view = { form: null, list: null, pager: null, order: [], request: 0 };

function drawCompletions(panel) {
  if (!view.form) {
    view.form = controls();
    view.list = h("div", { class: "cards", id: "cards" });
    view.pager = h("nav", { class: "pager", "aria-label": "Pages of completions" });
    fill(panel, h("h2", {}, "Completions"), view.form, view.pager, view.list);
  }
  for (const field of view.form.querySelectorAll("[name]")) {
    if (field.type === "checkbox") field.checked = field.name === "run" ? state.runs.split(",").includes(field.value) : state[field.name] === "1";
    else if (field !== document.activeElement || field.tagName === "SELECT") field.value = state[field.name];
  }
  view.form.querySelector("#run-count").textContent = `Runs side by side (${chosenRuns().length} of ${runs.length})`;
  view.form.dataset.order = state.order;
  return refresh();
}

async function refresh() {
  const request = ++view.request;
  view.list.setAttribute("aria-busy", "true");
  let data;
  try {
    data = await loaded();
  } catch (error) {
    view.list.replaceChildren(h("p", { class: "bad" }, `The completions cannot be read (${error.message}). This page needs a browser from 2024 or later.`));
    throw error;
  }
  if (request !== view.request) return;
  view.order = selected(data);
  const size = Number(state.size);
  const last = Math.max(1, Math.ceil(view.order.length / size));
  const linked = state.ex ? view.order.indexOf(data.examples.ids.indexOf(state.ex)) : -1;
  const page = linked >= 0 ? Math.floor(linked / size) + 1 : Math.min(last, Math.max(1, Number(state.page) || 1));
  const shown = view.order.slice((page - 1) * size, page * size);
  state.page = String(page);
  view.list.className = `cards ${state.layout}`;
  view.list.replaceChildren(...shown.map((i) => card(i, data)));
  if (!shown.length) view.list.append(h("p", { class: "none" }, "No completions match these filters."));
  view.pager.replaceChildren(...pages(page, last, size));
  view.list.removeAttribute("aria-busy");
  performance.mark("completions");
  if (linked >= 0) view.list.querySelector(`[data-example="${CSS.escape(state.ex)}"]`)?.focus();
}

function pages(page, last, size) {
  const go = (to) => change({ page: String(Math.min(last, Math.max(1, to))), ex: "" });
  const button = (label, text, to) => h("button", { type: "button", "aria-label": label, disabled: to < 1 || to > last || to === page, on: { click: () => { go(to); } } }, text);
  const number = h("input", { type: "number", min: "1", max: last, value: page, "aria-label": "page", on: { change: (event) => go(Number(event.target.value)) } });
  const from = view.order.length ? (page - 1) * size + 1 : 0;
  const text = `${count(from)} to ${count(Math.min(page * size, view.order.length))} of ${count(view.order.length)}`;
  return [h("span", { class: "shown" }, text), button("First page", "«", 1), button("Previous page", "‹", page - 1), h("span", {}, number, ` / ${count(last)}`),
    button("Next page", "›", page + 1), button("Last page", "»", last)];
}
