// The numbers of the operator's page as lists and tables, changed in place: a screen reader that
// reads one of them must not lose its place.

import { formatDuration, formatValue, protocolOf } from "./status-text.js";
import { PLANS } from "./status-plans.js";

/** @typedef {import("./status-history.js").History} History */
/** @typedef {import("./status-history.js").Status} Status */

/** Rows of text; the first cell of each is its heading. */
export class Table {
  #body;
  #classes;

  /**
   * @param {HTMLElement} table
   * @param {string[]} classes Of the cells of a row.
   */
  constructor(table, classes) {
    this.#body = /** @type {HTMLTableSectionElement} */ (table.querySelector("tbody"));
    this.#classes = classes;
  }

  /** @param {string[][]} rows */
  show(rows) {
    const { rows: shown } = this.#body;
    while (shown.length > rows.length) this.#body.deleteRow(-1);
    while (shown.length < rows.length) this.#addRow();
    rows.forEach((texts, index) => {
      texts.forEach((text, column) => write(shown[index].cells[column], text));
    });
  }

  #addRow() {
    const row = this.#body.insertRow();
    this.#classes.forEach((className, column) => {
      const cell = document.createElement(column ? "td" : "th");
      cell.className = className;
      if (!column) cell.scope = "row";
      row.append(cell);
    });
  }
}

/**
 * @param {HTMLElement} list A `dl`.
 * @param {Status} status
 * @param {string} version Of the server.
 */
export function showFacts(list, status, version) {
  const { capacity } = status;
  const faults = countFaults(status);
  const facts = {
    Model: status.models.join(", "),
    Places: `${status.current_clients} of ${status.max_clients}`,
    "Speakers carried": capacity ? `about ${capacity.estimated_sessions}` : "not measured",
    "Real-time factor": capacity ? capacity.rtf.toFixed(2) : "not measured",
    Admitted: formatValue("count", status.admitted_clients),
    Refused: formatValue("count", status.refused_clients),
    Faults: formatValue("count", faults),
    "Runs for": formatDuration(status.uptime_s),
    Version: version || "–",
  };
  if (!list.children.length) list.append(...Object.keys(facts).map(createFact));
  const texts = Object.values(facts);
  list.querySelectorAll("dd").forEach((element, index) => write(element, texts[index]));
  list.classList.toggle("has-faults", faults > 0);
}

/**
 * @param {Status} status
 * @returns {string[][]}
 */
export function rowsOfSessions({ sessions }) {
  return sessions.map((row) => [
    String(row.session),
    row.is_busy ? "speaks" : "silent",
    formatValue("seconds", row.lag_s),
    protocolOf(row.client),
    row.model ?? "–",
    row.audio_s === undefined ? "–" : formatDuration(row.audio_s),
    formatValue("count", row.decodes),
    formatValue("count", row.commits),
    formatDuration(row.age_s),
    formatDuration(row.time_left_s),
  ]);
}

/**
 * The lines of all charts: at a time, means of the last minute and of ten, and the most.
 *
 * @param {History} history
 * @param {number} atS
 * @returns {string[][]}
 */
export function rowsOfNumbers(history, atS) {
  const seen = history.at(atS);
  return PLANS.flatMap(({ title, unit, lines }) =>
    lines.map(({ key, name }) => {
      const { minute, mean, most } = history.summary(key);
      const meanUnit = unit === "count" ? "mean" : unit;
      return [
        lines.length > 1 ? `${title}: ${name}` : title,
        formatValue(unit, seen?.values[key]),
        formatValue(meanUnit, minute),
        formatValue(meanUnit, mean),
        formatValue(unit, most),
      ];
    }),
  );
}

/**
 * @param {Status} status
 * @returns {number} Work that failed since the server began, and workers that hang now.
 */
function countFaults({ scheduler, vad, media }) {
  const decoding = scheduler.failures + scheduler.timeouts + scheduler.lost_workers;
  return decoding + vad.failures + media.lost;
}

/** @param {string} name */
function createFact(name) {
  const entry = document.createElement("div");
  const term = document.createElement("dt");
  term.textContent = name;
  entry.dataset.fact = name;
  entry.append(term, document.createElement("dd"));
  return entry;
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
