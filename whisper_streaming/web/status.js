// The operator's page: asks the server for its numbers again and again, and draws them.

import { Chart } from "./status-chart.js";
import { History, isRestarted } from "./status-history.js";
import { PLANS } from "./status-plans.js";
import { Table, rowsOfNumbers, rowsOfSessions, showFacts } from "./status-tables.js";
import { formatAgo, formatDuration } from "./status-text.js";
import { applySettings, loadSettings } from "./settings.js";

/** @typedef {import("./status-chart.js").Limit} Limit */
/** @typedef {import("./status-history.js").Status} Status */

const POLL_MS = 2000;
const TIMEOUT_MS = 5000;
const HEADERS = { Accept: "application/json" };

const history = new History();
const charts = PLANS.map((plan) => new Chart(plan));
const sessionTable = new Table(
  get("sessions"),
  ["", "", "number", "", "", "number", "number", "number", "number", "number"],
);
const numberTable = new Table(get("numbers"), ["", "number", "number", "number", "number"]);
const lookBack = /** @type {HTMLInputElement} */ (get("look-back"));
const pause = get("pause");

/** @type {Status | null} */ let newest = null;
/** Seconds before now that are looked at; 0 is now. */
let lookedBackS = 0;
let isPaused = false;
let answeredAt = new Date();
let version = "";

/** @param {string} id */
function get(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element "${id}"`);
  return element;
}

/** Seconds on a clock that only goes forward. */
const now = () => performance.now() / 1000;

async function fetchJson(/** @type {string} */ path) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(path, { headers: HEADERS, cache: "no-store", signal });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  return response.json();
}

async function poll() {
  const status = await fetchJson("status").catch(showUnreachable);
  if (isPaused) return;
  if (status) {
    if (newest && isRestarted(newest, status)) await checkVersion();
    newest = status;
    answeredAt = new Date();
    history.add(now(), status);
    showStatus(status);
  } else {
    history.addGap(now());
  }
  draw();
}

/** The server was started again. Another version of it may have another page. */
async function checkVersion() {
  const info = await fetchJson("info").catch(() => null);
  if (info && version && info.version !== version) location.reload();
  version = info?.version ?? version;
}

async function run() {
  await checkVersion();
  for (;;) {
    if (!isPaused) await poll();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

// --- what is shown --------------------------------------------------------------------------

/**
 * @param {string} tone
 * @param {string} title Read aloud when it changes.
 * @param {string} detail
 */
function showState(tone, title, detail) {
  get("state").dataset.tone = tone;
  // The same text again would be read aloud again.
  if (get("state-title").textContent !== title) get("state-title").textContent = title;
  get("state-detail").textContent = detail;
}

/** @param {Status} status */
function showStatus(status) {
  const { capacity } = status;
  if (!status.is_healthy) {
    showState("error", "Unhealthy", "A decode hangs, or the server stops: see its log.");
  } else if (capacity?.is_overloaded) {
    showState("error", "Overloaded", "Decodes wait so long that captions are not live.");
  } else if (status.is_full) {
    const wait = formatDuration(60 * status.estimated_wait_time_minutes);
    showState("warn", "Full", `The next client is told to wait up to ${wait}.`);
  } else if (capacity && capacity.rtf > 1) {
    showState("warn", "Slow", "The model is too slow for this machine: captions come late.");
  } else {
    showState("good", "Healthy", "New clients are served at once.");
  }
  showFacts(get("facts"), status, version);
  sessionTable.show(rowsOfSessions(status));
  get("nobody").hidden = status.sessions.length > 0;
}

/** @param {unknown} error */
function showUnreachable(error) {
  if (isPaused) return;
  const reason = error instanceof Error && error.message.startsWith("HTTP") ? error.message : "";
  const since = newest ? `No answer since ${answeredAt.toLocaleTimeString()}. ` : "";
  showState(
    "error",
    "The server does not answer",
    `${since}${reason && `${reason}. `}It is asked every ${POLL_MS / 1000} s.`,
  );
}

function draw() {
  const nowS = history.samples.at(-1)?.atS ?? now();
  const { spanS } = history;
  const cursorS = lookedBackS ? nowS - lookedBackS : null;
  lookBack.min = String(-spanS);
  get("charts-title").textContent = `The last ${spanS / 60} minutes`;
  charts.forEach((chart, index) => {
    const limits = index === 0 && newest ? limitsOf(newest) : [];
    chart.draw(history.samples, { nowS, spanS, cursorS, limits });
  });
  get("looked-at").textContent = formatAgo(lookedBackS);
  lookBack.setAttribute("aria-valuetext", formatAgo(lookedBackS));
  get("numbers-at").textContent = lookedBackS ? formatAgo(lookedBackS) : "Now";
  numberTable.show(rowsOfNumbers(history, nowS - lookedBackS));
}

/**
 * @param {Status} status
 * @returns {Limit[]}
 */
function limitsOf({ max_clients, capacity }) {
  const places = { name: "places", value: max_clients };
  return capacity ? [places, { name: "carried", value: capacity.estimated_sessions }] : [places];
}

// --- what a person does ---------------------------------------------------------------------

/** @param {number} seconds Before now. */
function look(seconds) {
  lookedBackS = Math.max(0, Math.min(history.spanS, Math.round(seconds)));
  draw();
}

lookBack.addEventListener("input", () => look(-lookBack.valueAsNumber));

for (const chart of charts) {
  // Leaving a chart goes back to what the slider says.
  chart.onPoint = (fraction) =>
    look(fraction === null ? -lookBack.valueAsNumber : (1 - fraction) * history.spanS);
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  const time = answeredAt.toLocaleTimeString();
  if (isPaused) showState("wait", "Paused", `What you see is of ${time}.`);
});

applySettings(loadSettings());
get("charts").append(...charts.map((chart) => chart.element));
new ResizeObserver(draw).observe(get("charts"));
run();
