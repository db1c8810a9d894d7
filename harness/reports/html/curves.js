// Learning curves of all fine-tunes: a small plot for each quantity, with one legend that highlights a run.
const CURVES = [
  ["validation_loss", "validation loss, nats per token, ±1 standard error"], ["train_loss", "training loss, nats per token"],
  ["token_accuracy", "token accuracy"], ["sequence_accuracy", "sequence accuracy"], ["learning_rate", "learning rate"],
];
const [WIDE, TALL, MARGIN] = [420, 230, { left: 46, right: 12, top: 8, bottom: 30 }];

function drawCurves(panel) {
  const tuned = runs.filter((run) => run.finetune?.curve.length);
  if (!tuned.length) return fill(panel, h("h2", {}, "Learning curves"), h("p", {}, "No run was fine-tuned."));
  const box = h("div", { class: "curves" });
  const highlight = (i) => box.querySelectorAll("[data-run]").forEach((node) => node.classList.toggle("dim", i !== null && node.dataset.run !== String(i)));
  let pinned = null;
  const legend = h("ul", { class: "legend" }, tuned.map((run, i) => h("li", {}, h("button", {
    type: "button", "aria-pressed": "false", class: `line-${i % 8}`, title: run.id,
    on: {
      moulabelledter: () => highlight(i), mouseleave: () => highlight(pinned), focus: () => highlight(i), blur: () => highlight(pinned),
      click: (event) => {
        pinned = pinned === i ? null : i;
        legend.querySelectorAll("button").forEach((b) => b.setAttribute("aria-pressed", String(b === event.currentTarget && pinned === i)));
        highlight(pinned);
      },
    },
  }, s("svg", { viewBox: "0 0 28 10", class: "sample", "aria-hidden": "true" }, s("path", { d: "M1 5H27", class: strokeOf(i) })), run.name))));
  const plots = CURVES.flatMap(([key, title]) => {
    const drawn = curve(tuned, key, title);
    return drawn ? [h("figure", {}, h("figcaption", {}, title), drawn)] : [];
  });
  box.append(...plots);
  fill(panel,
    h("h2", {}, "Learning curves"),
    h("p", { class: "note" }, "Over the number of training examples, on a logarithmic axis. A ring marks the evaluation whose weights were kept. Select a run to highlight it."),
    legend, box, curveTable(tuned), diagnoses());
}

const strokeOf = (i) => `line line-${i % 8} dash-${Math.floor(i / 8) % 3}`;

function curve(tuned, key, title) {
  const series = tuned.map((run) => run.finetune.curve.filter((p) => p[key] !== null && p.examples > 0));
  const points = series.flat();
  if (!points.length) return null;
  const xs = points.map((p) => Math.log10(p.examples));
  const error = (p) => (key === "validation_loss" ? p.validation_loss_se ?? 0 : 0);
  const ys = points.flatMap((p) => [p[key] - error(p), p[key] + error(p)]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const pad = (y1 - y0 || Math.abs(y1) || 1) * 0.05;
  const x = (p) => MARGIN.left + 12 + ((Math.log10(p.examples) - x0) / (x1 - x0 || 1)) * (WIDE - MARGIN.left - MARGIN.right - 24);
  const y = (v) => TALL - MARGIN.bottom - ((v - y0 + pad) / (y1 - y0 + 2 * pad)) * (TALL - MARGIN.top - MARGIN.bottom);
  const marks = ticks(y0 - pad, y1 + pad, 4);
  const tiny = Math.max(...marks.map(Math.abs)) < 0.01;
  const label = (v) => (tiny && v !== 0 ? v.toExponential(0) : v.toFixed(tiny ? 0 : places(marks)));
  const labelled = [...new Set(points.map((p) => p.examples))].sort((a, b) => a - b).reduce((labels, n) => (labels.length && n < 1.7 * labels.at(-1) ? labels : [...labels, n]), []);
  return s("svg", { viewBox: `0 0 ${WIDE} ${TALL}`, role: "img", "aria-label": `${title}: the figures are in the table below` },
    marks.map((v) => [s("path", { class: "rule", d: `M${MARGIN.left} ${y(v)}H${WIDE - MARGIN.right}` }), s("text", { x: MARGIN.left - 6, y: y(v) + 4, "text-anchor": "end" }, label(v))]),
    labelled.map((n) => s("text", { x: x({ examples: n }), y: TALL - 10, "text-anchor": "middle" }, count(n))),
    series.map((line, i) => s("g", { "data-run": i, class: strokeOf(i) },
      line.map((p) => error(p) > 0 && s("path", { class: "spread", d: `M${x(p)} ${y(p[key] - error(p))}V${y(p[key] + error(p))}` })),
      s("path", { d: line.map((p, k) => `${k ? "L" : "M"}${x(p).toFixed(1)} ${y(p[key]).toFixed(1)}`).join("") }),
      line.map((p) => s("circle", { cx: x(p), cy: y(p[key]), r: p.step === tuned[i].finetune.best_step ? 4.5 : 2.5, class: p.step === tuned[i].finetune.best_step ? "best" : "" },
        s("title", {}, `${tuned[i].name}: ${p[key].toPrecision(4)} after ${counted(p.examples, "example")}, step ${p.step}`))))));
}

function curveTable(tuned) {
  const heads = ["run", "method", "examples", "parameters trained", "training time", "best step", "validation loss", "token accuracy", "sequence accuracy"];
  const rows = tuned.map((run) => {
    const record = run.finetune;
    const best = record.curve.find((p) => p.step === record.best_step);
    const cells = [record.method, count(record.n_train), short(record.parameters_trained), duration(record.seconds), count(record.best_step),
      best ? `${fmt(best.validation_loss)} ± ${fmt(best.validation_loss_se)}` : "–", fmt(best?.token_accuracy), fmt(best?.sequence_accuracy)];
    return h("tr", {}, h("th", { scope: "row" }, nameCell(run)), cells.map((cell, k) => h("td", { class: k ? "number" : "" }, cell)));
  });
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Fine-tunes" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, heads.map((head, k) => h("th", { scope: "col", class: k > 1 ? "number" : "" }, head)))), h("tbody", {}, rows)));
}

/** What each curve shows, and what the findings mean. */
function diagnoses() {
  if (!board.diagnoses.length) return null;
  const rows = board.diagnoses.map((of) => h("tr", {}, h("th", { scope: "row" }, nameCell(runs[runAt.get(of.run_id)])),
    h("td", { class: "wrap" }, of.remarks.map(({ finding, detail }) => h("span", { class: "finding", title: board.meaning[finding] }, h("span", { class: "tag" }, finding), detail && ` ${detail}`)))));
  return [h("h3", {}, "What the curves show"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What the curves show" }, h("table", { class: "plain" }, h("tbody", {}, rows))),
    h("dl", { class: "meanings" }, Object.entries(board.meaning).map(([finding, text]) => [h("dt", {}, finding), h("dd", {}, text)]))];
}
