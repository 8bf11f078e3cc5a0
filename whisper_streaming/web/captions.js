// Captions as rows of a list, changed in place. Text only through textContent.

import { describeGap } from "./export.js";
import { isComplete } from "./transcript.js";

/** @typedef {import("./transcript.js").Captions} Captions */
/** @typedef {import("./transcript.js").Line} Line */

/**
 * What one row shows.
 *
 * @typedef {object} Row
 * @property {"speech" | "silence" | "gap"} kind
 * @property {number} startS
 * @property {number} speaker From 1 on; 0 if nobody.
 * @property {boolean} namesSpeaker Whether it says who speaks: where that changes.
 * @property {string} final Text that stays.
 * @property {string} unstable Text that may change.
 * @property {boolean} isConfirmed False for words that were open when the connection broke.
 * @property {string | null} translation
 */

const SPEAKER_COLOURS = 8;
const ANNOUNCE_EVERY_MS = 4000; // reading a line aloud takes about so long

/**
 * @param {Captions} captions
 * @returns {Row[]}
 */
export function rowsOf({ lines, unstable, continuesLine, translation }) {
  const speakers = new Set(lines.filter((line) => line.kind === "speech").map((l) => l.speaker));
  const rows = lines.map((line) => toRow(line));
  const open = unstable.trim();
  if (open && continuesLine) {
    // It brings its own space, or is glued to the word before.
    rows[rows.length - 1].unstable = unstable.trimEnd();
  } else if (open) {
    const last = lines.at(-1);
    rows.push({ ...OPEN_ROW, startS: last?.end ?? 0, speaker: last?.speaker || 1, unstable: open });
  }
  const newest = rows.at(-1);
  if (translation && newest?.kind === "speech") newest.translation ??= translation;
  if (speakers.size > 1) nameSpeakers(rows);
  return rows;
}

/**
 * Minutes and seconds; hours where there are any.
 *
 * @param {number} seconds
 * @returns {string}
 */
export function formatClock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const tail = pad(whole % 60);
  return hours > 0 ? `${hours}:${pad(minutes)}:${tail}` : `${minutes}:${tail}`;
}

/** Shows captions in a list. */
export class CaptionView {
  /** @type {Row[]} */ #rows = [];
  /** @type {RowElements[]} */ #elements = [];
  #list;

  /** @param {HTMLElement} list An empty `ol` or `ul`. */
  constructor(list) {
    this.#list = list;
  }

  /** @param {Captions} captions */
  show(captions) {
    const rows = rowsOf(captions);
    while (this.#elements.length > rows.length) this.#elements.pop()?.item.remove();
    rows.forEach((row, index) => {
      if (index === this.#elements.length) {
        this.#elements.push(createRow());
        this.#list.append(this.#elements[index].item);
      } else if (isSame(this.#rows[index], row)) {
        return;
      }
      fill(this.#elements[index], row);
    });
    this.#list.classList.toggle("has-speakers", rows.some((row) => row.namesSpeaker));
    this.#rows = rows;
  }
}

/** Reads lines that are complete to a screen reader, not more often than it can speak. */
export class Announcer {
  #region;
  #announced = 0; // complete lines that were read, or were there before
  /** @type {string[]} */ #waiting = [];
  /** @type {ReturnType<typeof setTimeout> | null} */ #timer = null;
  isOn = true;

  /** @param {HTMLElement} region With `aria-live="polite"`. */
  constructor(region) {
    this.#region = region;
  }

  /** @param {Captions} captions */
  show({ lines }) {
    const last = lines.at(-1);
    const complete = last && !isComplete(last) ? lines.length - 1 : lines.length;
    if (this.isOn) {
      const news = lines.slice(this.#announced, complete);
      this.#waiting.push(...news.filter((line) => line.text).map((line) => line.text));
    }
    this.#announced = complete;
    if (this.#timer === null) this.#announce();
  }

  /** The captions are cleared. */
  forget() {
    this.#announced = 0;
    this.#waiting = [];
  }

  #announce() {
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    this.#region.textContent = this.#waiting.join(" ");
    this.#waiting = [];
    this.#timer = setTimeout(() => this.#announce(), ANNOUNCE_EVERY_MS);
  }
}

/** @type {Row} */
const OPEN_ROW = {
  kind: "speech",
  startS: 0,
  speaker: 1,
  namesSpeaker: false,
  final: "",
  unstable: "",
  isConfirmed: true,
  translation: null,
};

/**
 * @param {Line} line
 * @returns {Row}
 */
function toRow(line) {
  const pause = `${Math.round(line.end - line.start)} s pause`;
  const final = { speech: line.text, silence: pause, gap: describeGap(line) }[line.kind];
  const { kind, start: startS, speaker, isFinal: isConfirmed, translation } = line;
  return { ...OPEN_ROW, kind, startS, speaker, final, isConfirmed, translation };
}

/** @param {Row[]} rows */
function nameSpeakers(rows) {
  let speaker = 0;
  for (const row of rows) {
    if (row.kind !== "speech") continue;
    row.namesSpeaker = row.speaker !== speaker;
    speaker = row.speaker;
  }
}

/**
 * @param {Row} one
 * @param {Row} other
 */
function isSame(one, other) {
  const keys = /** @type {(keyof Row)[]} */ (Object.keys(other));
  return keys.every((key) => one[key] === other[key]);
}

/**
 * @typedef {object} RowElements
 * @property {HTMLElement} item
 * @property {HTMLElement} time
 * @property {HTMLElement} who
 * @property {HTMLElement} final
 * @property {HTMLElement} unstable
 * @property {HTMLElement} translation
 */

/** @returns {RowElements} */
function createRow() {
  const [item, time, text, who, words, final, unstable, translation] = [
    ["li", "line"],
    ["time", "line-time"],
    ["div", "line-text"],
    ["p", "line-who"],
    ["p", "line-words"],
    ["span", "final"],
    ["span", "unstable"],
    ["p", "line-translation"],
  ].map(([tag, className]) => {
    const element = document.createElement(tag);
    element.className = className;
    return element;
  });
  words.append(final, unstable);
  text.append(who, words, translation);
  item.append(time, text);
  return { item, time, who, final, unstable, translation };
}

/**
 * @param {RowElements} elements
 * @param {Row} row
 */
function fill(elements, row) {
  const { item, time, who, final, unstable, translation } = elements;
  item.dataset.kind = row.kind;
  item.dataset.speaker = String(row.speaker && ((row.speaker - 1) % SPEAKER_COLOURS) + 1);
  item.classList.toggle("is-unconfirmed", !row.isConfirmed);
  time.textContent = formatClock(row.startS);
  who.textContent = row.namesSpeaker ? `Speaker ${row.speaker}` : "";
  who.hidden = !row.namesSpeaker;
  final.textContent = row.final;
  unstable.textContent = row.unstable;
  unstable.hidden = !row.unstable;
  translation.textContent = row.translation ?? "";
  translation.hidden = !row.translation;
}
