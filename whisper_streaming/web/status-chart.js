// A line chart of the last minutes, as SVG.

import { formatAgo, formatMark, formatValue } from "./status-text.js";

/** @typedef {import("./status-history.js").Sample} Sample */
/** @typedef {import("./status-text.js").Unit} Unit */
/** @typedef {{ x: number, y: number }} Point */
/** @typedef {{ name: string, value: number }} Limit A line that must not be crossed. */

/**
 * @typedef {object} Line
 * @property {string} key Of its values.
 * @property {string} name
 */

/**
 * @typedef {object} Plan
 * @property {string} title
 * @property {string} about
 * @property {Unit} unit
 * @property {number} least The scale goes so far at least.
 * @property {Line[]} lines One or two.
 */

const SVG = "http://www.w3.org/2000/svg";
const HEADROOM = 1.2; // above a limit, for its name
const GAP_S = 7; // so long without a sample breaks a line
const STEPS = [1, 2, 4, 5, 10];
const TOP = 8;
const BOTTOM = 20;
const SIDE = 1;
const NAME_HEIGHT = 14;

/**
 * The end of a scale: a round number that holds all values.
 *
 * @param {number} most
 * @param {number} least
 * @returns {number}
 */
export function endOfScale(most, least) {
  if (most <= least) return least;
  const power = 10 ** Math.floor(Math.log10(most));
  const step = STEPS.find((each) => each * power >= most * (1 - 1e-9)) ?? 10;
  return step * power;
}

/**
 * Split a line where nothing is known.
 *
 * @param {Sample[]} samples
 * @param {string} key
 * @returns {{ atS: number, value: number }[][]}
 */
export function piecesOf(samples, key) {
  /** @type {{ atS: number, value: number }[][]} */ const pieces = [];
  let lastS = -Infinity;
  for (const { atS, values } of samples) {
    const value = values[key] ?? null;
    if (value === null) {
      lastS = -Infinity;
      continue;
    }
    if (atS - lastS > GAP_S) pieces.push([]);
    pieces[pieces.length - 1].push({ atS, value });
    lastS = atS;
  }
  return pieces;
}

/**
 * @param {Point[]} points
 * @returns {string} The `d` of a path.
 */
export function pathOf(points) {
  // A single point would not be seen.
  const drawn = points.length === 1 ? [points[0], { ...points[0], x: points[0].x + 1 }] : points;
  return `M${drawn.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
}

/**
 * What stands at the lines of limits: one name for those that are too close for two.
 *
 * @param {Limit[]} limits
 * @param {(value: number) => number} yOf
 * @returns {{ text: string, y: number }[]} Each just above the highest line that it names.
 */
export function namesOfLimits(limits, yOf) {
  /** @type {{ text: string, y: number }[]} */ const names = [];
  for (const { name, value } of limits) {
    const text = `${name} ${value}`;
    const y = yOf(value);
    const last = names.at(-1);
    if (last && Math.abs(last.y - y) < NAME_HEIGHT) {
      names[names.length - 1] = { text: `${last.text}, ${text}`, y: Math.min(last.y, y) };
    } else {
      names.push({ text, y });
    }
  }
  return names;
}

/** One chart with its heading and its values. */
export class Chart {
  element = document.createElement("section");
  /** @type {(fraction: number | null) => void} */ onPoint = () => {};
  #plan;
  #svg = svg("svg", { class: "plot", role: "img" });
  #values;

  /** @param {Plan} plan */
  constructor(plan) {
    this.#plan = plan;
    this.#values = plan.lines.map(() => document.createElement("dd"));
    const title = document.createElement("h3");
    title.textContent = plan.title;
    const about = document.createElement("p");
    about.textContent = plan.about;
    this.element.className = "card";
    this.element.append(title, about, this.#legend(), this.#svg);
    this.#svg.addEventListener("pointermove", (event) => {
      const box = this.#svg.getBoundingClientRect();
      this.onPoint((event.clientX - box.left) / box.width);
    });
    this.#svg.addEventListener("pointerleave", () => this.onPoint(null));
  }

  /**
   * @param {Sample[]} samples
   * @param {object} view
   * @param {number} view.nowS Where the time axis ends.
   * @param {number} view.spanS How long it is.
   * @param {number | null} view.cursorS The time that is looked at; null for now.
   * @param {Limit[]} view.limits
   */
  draw(samples, { nowS, spanS, cursorS, limits }) {
    const { lines, unit, least, title } = this.#plan;
    const seenS = cursorS ?? nowS;
    const seen = samples.findLast((each) => each.atS <= seenS && each.atS > seenS - GAP_S);
    const texts = lines.map(({ key }) => formatValue(unit, seen?.values[key]));
    texts.forEach((text, index) => (this.#values[index].textContent = text));

    const all = lines.flatMap(({ key }) => samples.map((each) => each.values[key] ?? 0));
    const most = Math.max(0, ...all);
    // A limit far above would press the lines flat.
    const near = limits.filter((limit) => limit.value <= Math.max(least, 2 * most));
    const end = endOfScale(Math.max(most, ...near.map(({ value }) => value * HEADROOM)), least);
    const scale = this.#scale(nowS, spanS, end);
    const drawn = lines.map(({ key }) =>
      piecesOf(samples, key).map((piece) =>
        piece.map(({ atS, value }) => ({ x: scale.x(atS), y: scale.y(value) })),
      ),
    );
    this.#svg.setAttribute(
      "aria-label",
      `${title}, ${cursorS === null ? "now" : formatAgo(nowS - cursorS)}: ` +
        lines.map(({ name }, index) => `${name} ${texts[index]}`).join(", "),
    );
    this.#svg.replaceChildren(
      ...this.#grid(scale, spanS, end),
      ...limitMarks(scale, near),
      ...drawn[0].map((points) => area(points, scale.y(0))),
      // The first line is the one that matters: on top.
      ...drawn.flatMap((pieces, index) => pieces.map((points) => line(points, index))).reverse(),
      ...(cursorS === null ? [] : [upright(scale, cursorS)]),
      ...(seen ? dots(scale, seen, lines) : []),
    );
  }

  /**
   * @param {number} nowS
   * @param {number} spanS
   * @param {number} end Of the values.
   * @returns {Scale}
   */
  #scale(nowS, spanS, end) {
    const width = this.#svg.clientWidth || 300;
    const height = this.#svg.clientHeight || 120;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    return {
      width,
      height,
      x: (atS) => SIDE + (1 - (nowS - atS) / spanS) * (width - 2 * SIDE - 4),
      y: (value) => TOP + (1 - value / end) * (height - TOP - BOTTOM),
    };
  }

  #legend() {
    const list = document.createElement("dl");
    this.#plan.lines.forEach(({ name }, index) => {
      const entry = document.createElement("div");
      const term = document.createElement("dt");
      term.className = `swatch line-${index}`;
      term.textContent = name;
      entry.append(term, this.#values[index]);
      list.append(entry);
    });
    return list;
  }

  /**
   * @param {Scale} scale
   * @param {number} spanS
   * @param {number} end
   */
  #grid(scale, spanS, end) {
    const { width, height } = scale;
    const isHalved = this.#plan.unit !== "count" || Number.isInteger(end / 2);
    const marks = (isHalved ? [end, end / 2] : [end]).flatMap((value) => [
      svg("path", { class: "grid", d: `M0 ${scale.y(value)}H${width}` }),
      label(formatMark(this.#plan.unit, value), { x: 0, y: scale.y(value) + 12 }),
    ]);
    const base = svg("path", { class: "base", d: `M0 ${scale.y(0)}H${width}` });
    const y = height - 4;
    return [
      ...marks,
      base,
      label(`${spanS / 60} min ago`, { x: 0, y }),
      label(`${spanS / 120} min`, { x: width / 2, y, "text-anchor": "middle" }),
      label("now", { x: width - SIDE, y, "text-anchor": "end" }),
    ];
  }
}

/**
 * From times and values to places.
 *
 * @typedef {object} Scale
 * @property {number} width
 * @property {number} height
 * @property {(atS: number) => number} x
 * @property {(value: number) => number} y
 */

/**
 * @param {string} name
 * @param {Record<string, string | number>} attributes
 */
function svg(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return /** @type {SVGElement} */ (element);
}

/**
 * @param {string} text
 * @param {Record<string, string | number>} attributes
 */
function label(text, attributes) {
  const element = svg("text", attributes);
  element.textContent = text;
  return element;
}

/**
 * @param {Point[]} points
 * @param {number} index
 */
function line(points, index) {
  return svg("path", { class: `line line-${index}`, d: pathOf(points) });
}

/**
 * @param {Point[]} points
 * @param {number} base
 */
function area(points, base) {
  const first = points[0].x.toFixed(1);
  const last = points[points.length - 1].x.toFixed(1);
  return svg("path", { class: "area", d: `${pathOf(points)}L${last} ${base}L${first} ${base}Z` });
}

/**
 * @param {Scale} scale
 * @param {Limit[]} limits
 */
function limitMarks({ width, y }, limits) {
  const lines = limits.map(({ value }) =>
    svg("path", { class: "limit", d: `M0 ${y(value)}H${width}` }),
  );
  const names = namesOfLimits(limits, y).map((name) =>
    label(name.text, { x: width - SIDE, y: name.y - 4, "text-anchor": "end" }),
  );
  return [...lines, ...names];
}

/**
 * @param {Scale} scale
 * @param {number} atS
 */
function upright(scale, atS) {
  return svg("path", { class: "cursor", d: `M${scale.x(atS)} ${TOP}V${scale.y(0)}` });
}

/**
 * @param {Scale} scale
 * @param {Sample} sample
 * @param {Line[]} lines
 */
function dots(scale, { atS, values }, lines) {
  return lines.flatMap(({ key }, index) => {
    const value = values[key] ?? null;
    if (value === null) return [];
    const place = { cx: scale.x(atS), cy: scale.y(value), r: 3.5 };
    return [svg("circle", { class: `dot line-${index}`, ...place })];
  });
}
