// Elements and numbers. Text is only ever set as text: no script of this page parses HTML.
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

/** Make an element. `on` has listeners, `css` has style properties; children are nodes, texts or lists of them. */
function h(tag, { on = {}, css = {}, ...attributes } = {}, ...children) {
  return filled(document.createElement(tag), on, css, attributes, children);
}

function s(tag, { on = {}, css = {}, ...attributes } = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), on, css, attributes, children);
}

function filled(node, on, css, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) node.addEventListener(name, listener);
  for (const [name, value] of Object.entries(css)) node.style.setProperty(name, value);
  node.append(...shown(children));
  return node;
}

/** Flatten lists of children and drop the missing ones. */
const shown = (children) => children.flat(9).filter((child) => child !== null && child !== undefined && child !== false);

/** Replace the children of a node. */
const fill = (node, ...children) => node.replaceChildren(...shown(children));

const fmt = (value, places = 3) => (value === null || value === undefined || Number.isNaN(value) ? "–" : value.toFixed(places));
const signed = (value, places = 3) => {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value).toFixed(places);
  return (Number(size) === 0 ? "" : value < 0 ? "−" : "+") + size;
};
const count = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US"));
const percent = (share) => `${(100 * share).toFixed(2)}%`;
const probability = (p) => (p === null ? "unknown" : p < 0.001 ? "< 0.001" : `= ${p.toFixed(3)}`);
/** An interval in brackets; `write` is `fmt`, or `signed` for an interval of a difference. */
const interval = (low, high, digits, write = fmt) => (low === null || high === null ? "no interval" : `[${write(low, digits)}, ${write(high, digits)}]`);
const counted = (n, noun, plural = `${noun}s`) => `${count(n)} ${n === 1 ? noun : plural}`;
const finite = (values) => values.filter((v) => v !== null && v !== undefined && Number.isFinite(v));

/** Allow a line break after each underscore of a name. */
const soft = (name) => name.split(/(?<=_)/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));

/** Abbreviate a number: 134.5M, 12.3k. */
function short(value) {
  if (value === null || value === undefined) return "–";
  for (const [size, letter] of [[1e9, "B"], [1e6, "M"], [1e4, "k"]]) {
    if (value >= size) return (value / (letter === "k" ? 1e3 : size)).toFixed(value / size < 10 && letter !== "k" ? 2 : 0) + letter;
  }
  return count(value);
}

function duration(seconds) {
  if (seconds === null || seconds === undefined || seconds === 0) return "–";
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Return round tick values that span [low, high], about `target` of them. */
function ticks(low, high, target = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / target;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= raw);
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) values.push(Number((i * step).toPrecision(12)));
  return values;
}

const places = (values) => {
  const gaps = values.slice(1).map((v, i) => v - values[i]).filter((g) => g > 0);
  return gaps.length ? Math.max(0, Math.min(6, Math.ceil(-Math.log10(Math.min(...gaps)) - 1e-9))) : 3;
};

/** A labelled select; `options` are [value, label]. */
function choice(label, value, options, change) {
  const select = h("select", { on: { change: (event) => change(event.target.value) } },
    options.map(([id, text]) => h("option", { value: id, selected: id === value }, text)));
  return h("label", { class: "field" }, h("span", {}, label), select);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { class: "aside" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.dataset.done = "copied";
  $("status").textContent = `Copied: ${text}`;
  setTimeout(() => delete button.dataset.done, 1500);
}
