// What the page carries: the summary at once, completions and their scores when they are asked for.
const board = JSON.parse($("summary").textContent);
const runs = board.runs;
const metrics = board.metrics;
const metricAt = new Map(metrics.map((metric, i) => [metric.name, i]));
const runAt = new Map(runs.map((run, i) => [run.id, i]));

/** The last parts of the names that tell runs apart; the whole name is always in the title. */
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

const kept = new Map();
const whole = new Promise((resolve) => {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", resolve, { once: true });
  else resolve();
});

/** Unpack a block once; all that ask for it share the promise. */
function block(id, read) {
  if (!kept.has(id)) kept.set(id, whole.then(() => unpacked(id)).then(read));
  return kept.get(id);
}

const json = (buffer) => JSON.parse(new TextDecoder().decode(buffer));

/** What all runs share: ids, prompts, references, slices. */
const loadExamples = () => block("examples", (buffer) => {
  const found = json(buffer);
  found.prompts ??= found.ids;
  found.folded = found.prompts.map((prompt, i) => `${prompt}\n${found.ids[i]}`.toLowerCase());
  return found;
});

/** One run's texts, how each ended, its tokens and errors. */
const loadRun = (i) => block(`run-${i}`, json);

/** One metric's score of every example, an array a run; NaN where there is none. */
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
