// Tabs, theme, keyboard shortcuts, and the first drawing.
const AVAILABLE = {
  slices: board.slices.length > 0, cost: board.fronts.length > 0, factors: board.effects.length > 0, metrics: board.validity.length > 0,
  curves: runs.some((run) => run.finetune?.curve.length),
};
const TABS = [
  ["leaderboard", "Leaderboard", drawLeaderboard], ["scores", "Scores", drawScores], ["slices", "Slices", drawSlices],
  ["factors", "Factors", drawFactors], ["cost", "Cost", drawCost], ["curves", "Curves", drawCurves], ["metrics", "Metrics", drawMetrics],
  ["completions", "Completions", drawCompletions], ["provenance", "Provenance", drawProvenance],
].filter(([id]) => AVAILABLE[id] ?? true);

function layTabs() {
  $("tabs").replaceChildren(...TABS.map(([id, label]) => h("button", {
    type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}`, on: { click: () => change({ tab: id }) },
  }, label)));
  $("main").replaceChildren(...TABS.map(([id]) => h("section", { role: "tabpanel", id: `panel-${id}`, "aria-labelledby": `tab-${id}`, hidden: true })));
  $("tabs").addEventListener("keydown", (event) => {
    const at = TABS.findIndex(([id]) => id === state.tab);
    const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const id = TABS[(next + TABS.length) % TABS.length][0];
    change({ tab: id });
    $(`tab-${id}`).focus();
  });
}

function draw() {
  if (!TABS.some(([id]) => id === state.tab)) state.tab = "leaderboard";
  document.body.dataset.tab = state.tab;
  for (const [id, , drawn] of TABS) {
    const on = id === state.tab;
    $(`tab-${id}`).setAttribute("aria-selected", String(on));
    $(`tab-${id}`).tabIndex = on ? 0 : -1;
    $(`panel-${id}`).hidden = !on;
    if (on) show($("tabs"), $(`tab-${id}`));
    if (on) drawn($(`panel-${id}`));
  }
}

/** Scroll a row sideways so that one of its children is fully visible. */
function show(row, child) {
  const [outer, inner] = [row.getBoundingClientRect(), child.getBoundingClientRect()];
  if (inner.left < outer.left || inner.right > outer.right) row.scrollLeft += inner.left - outer.left - 24;
}

const THEMES = { auto: "light dark", light: "light", dark: "dark" };

function setTheme(name, keep) {
  document.documentElement.style.colorScheme = THEMES[name];
  document.documentElement.dataset.theme = name;
  $("theme").textContent = `Theme: ${name}`;
  if (!keep) return;
  try { localStorage.setItem("harness-theme", name); } catch { /* some browsers store nothing for local files: the theme then lasts until the page is closed */ }
}

function keptTheme() {
  try { return localStorage.getItem("harness-theme"); } catch { return null; }
}

function nextTheme() {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length], true);
}

const KEYS = [
  ["1 to 9", "switch tabs"], ["/", "search completions"], ["j  k", "next and previous completion"], ["n  p", "next and previous page"],
  ["s", "all scores of the example"], ["t", "switch theme"], ["?", "this list"],
];

function layHelp() {
  const close = h("button", { type: "button", on: { click: () => $("help").close() } }, "Close");
  $("help").replaceChildren(h("h2", { id: "help-title" }, "Keyboard shortcuts"), h("dl", {}, KEYS.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])), close);
  $("help-open").addEventListener("click", () => $("help").showModal());
}

function step(by) {
  const cards = [...document.querySelectorAll("#cards article")];
  const at = cards.indexOf(document.activeElement.closest("article"));
  const next = cards[at < 0 ? 0 : Math.min(cards.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.key !== "Escape") return;
  const browsing = state.tab === "completions";
  const turn = (label) => document.querySelector(`.pager [aria-label="${label}"]`)?.click();
  const act = {
    "/": () => { change({ tab: "completions" }); $("search").focus(); }, "?": () => $("help").showModal(), t: nextTheme, Escape: () => event.target.blur?.(),
    ...(browsing && { j: () => step(1), k: () => step(-1), n: () => turn("Next page"), p: () => turn("Previous page"),
      s: () => document.activeElement.closest("article")?.querySelector("summary").click() }),
  }[event.key] ?? (TABS[Number(event.key) - 1] && (() => change({ tab: TABS[Number(event.key) - 1][0] })));
  if (!act) return;
  if (event.key !== "Escape") event.preventDefault();
  act();
}

function start() {
  readState();
  setTheme(THEMES[keptTheme()] ? keptTheme() : "auto", false);
  drawVerdict();
  layTabs();
  layHelp();
  draw();
  $("theme").addEventListener("click", nextTheme);
  $("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
  document.addEventListener("keydown", press);
  for (const name of ["hashchange", "popstate"]) addEventListener(name, () => { readState(); draw(); });
  addEventListener("beforeprint", () => TABS.forEach(([id, , drawn]) => id !== "completions" && drawn($(`panel-${id}`))));
  performance.mark("interactive");
  requestAnimationFrame(() => setTimeout(() => performance.mark("painted")));
}

start();
