// The embedded data: the summary is read at once, completions and their scores when they are needed.
const board = JSON.parse($("summary").textContent);
const runs = board.runs;
const metrics = board.metrics;
const metricAt = new Map(metrics.map((metric, i) => [metric.name, i]));
const runAt = new Map(runs.map((run, i) => [run.id, i]));

/** The positions of the numbers in a score. */
const [VALUE, LOW, HIGH, N, ERRORS, WORST, BEST] = [0, 1, 2, 3, 4, 5, 6];
const scoreOf = (run, metric) => run.scores[metric];
const valueOf = (run, metric) => (run.scores[metric] ? run.scores[metric][VALUE] : null);

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function unpacked(id) {
  const node = $(id);
  const stream = new Blob([bytesOf(node.textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  node.remove();
  return buffer;
}

const blocks = new Map();
const parsed = new Promise((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve, { once: true });
  else resolve();
});

/** Decompress a block once; every caller gets the same promise. */
function block(id, read) {
  if (!blocks.has(id)) blocks.set(id, parsed.then(() => unpacked(id)).then(read));
  return blocks.get(id);
}

const json = (buffer) => JSON.parse(new TextDecoder().decode(buffer));

/** What all runs share: ids, prompts, references and slices. */
const loadExamples = () => block("examples", (buffer) => {
  const examples = json(buffer);
  examples.prompts ??= examples.ids;
  examples.folded = examples.prompts.map((prompt, i) => `${prompt}\n${examples.ids[i]}`.toLowerCase());
  return examples;
});

/** One run's texts, finish reasons, token counts and errors; and, where there is more, reasoning and text as it came. */
const loadRun = (i) => block(`run-${i}`, json);

/** What the model got for each example; empty where the record or the report has none. */
const loadPrompts = (i) => block(`prompts-${i}`, json);

/** One metric's score of every example, one array per run; NaN where there is none. */
const loadMetric = (i) => block(`metric-${i}`, (buffer) => {
  const planes = new Uint8Array(buffer);
  const size = planes.length / 4;
  const bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < 4; plane++) {
    for (let k = 0, at = plane * size; k < size; k++) bytes[4 * k + plane] = planes[at + k];
  }
  const scores = new Float32Array(bytes.buffer);
  const n = size / runs.length;
  return runs.map((_, run) => scores.subarray(run * n, (run + 1) * n));
});
