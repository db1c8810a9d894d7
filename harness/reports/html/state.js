// The state of the view, kept in the address after `#`, so that a link opens the same view.
const untuned = runs.findIndex((run) => !run.finetune);
const chosenFirst = [...new Set([0, 1, 2, untuned].filter((i) => i >= 0 && i < runs.length))].slice(0, 4).sort((a, b) => a - b);
const DEFAULTS = {
  tab: "leaderboard", sort: "", dir: "", metric: board.primary, key: board.slices.length ? board.slices[0][0] : "", heat: "score",
  runs: chosenFirst.map((i) => runs[i].id).join(","), q: "", deep: "", slice: "", finish: "", order: "data", way: "",
  a: runs[0].id, b: runs[Math.min(1, runs.length - 1)].id, page: "1", size: "20", ex: "",
  diff: board.references ? "reference" : "first", layout: "rows",
};
const state = { ...DEFAULTS };

function readState() {
  const params = new URLSearchParams(location.hash.slice(1));
  for (const [key, fallback] of Object.entries(DEFAULTS)) state[key] = params.get(key) ?? fallback;
  if (!metricAt.has(state.metric)) state.metric = board.primary;
  state.runs = state.runs.split(",").filter((id) => runAt.has(id)).join(",") || DEFAULTS.runs;
  for (const key of ["a", "b"]) if (!runAt.has(state[key])) state[key] = DEFAULTS[key];
}

function address(changes = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...state, ...changes })) if (value !== DEFAULTS[key]) params.set(key, value);
  return `#${params}`;
}

/** Change the view and draw it. A change of tab is added to the browser's history. */
function change(changes) {
  const step = changes.tab !== undefined && changes.tab !== state.tab;
  Object.assign(state, changes);
  history[step ? "pushState" : "replaceState"](null, "", address());
  draw();
}

const chosenRuns = () => state.runs.split(",").map((id) => runAt.get(id));
