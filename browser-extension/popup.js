// The popup of the button: start and stop, settings, the words as a file.

import { AddressError, findEndpoints } from "./address.js";
import { tell } from "./messages.js";
import { IDLE, loadRecording, loadSettings, loadState, saveSettings } from "./store.js";
import { FORMATS, fileName, toText } from "./web/export.js";
import { describePhase, get } from "./web/page.js";
import { copyText, downloadText } from "./web/save.js";
import { fetchInfo, offerLanguages } from "./web/server-info.js";

/** @typedef {import("./store.js").Recording} Recording */
/** @typedef {import("./store.js").Settings} Settings */
/** @typedef {import("./store.js").State} State */

const record = /** @type {HTMLButtonElement} */ (get("record"));
const server = /** @type {HTMLInputElement} */ (get("server"));
const language = /** @type {HTMLSelectElement} */ (get("language"));
const size = /** @type {HTMLInputElement} */ (get("size"));
const theme = /** @type {HTMLSelectElement} */ (get("theme"));
const announce = /** @type {HTMLInputElement} */ (get("announce"));

let state = IDLE;
/** @type {number | undefined} */ let thisTab;
// Before the first look, so that no change falls between.
chrome.storage.session.onChanged.addListener((changes) => {
  if (changes.state) state = changes.state.newValue;
  void showState();
});
const settings = await loadSettings();
const [tab] = await chrome.tabs.query({ active: true, currentWindow: true });
thisTab = tab?.id;
state = await loadState();

prepare();
await showState();
await showServer();

function prepare() {
  server.value = settings.server;
  size.value = String(settings.size);
  theme.value = settings.theme;
  announce.checked = settings.announce;
  showLanguage();
  on(language, "input", () => (settings.language = language.value));
  on(size, "input", () => (settings.size = size.valueAsNumber));
  on(theme, "input", () => (settings.theme = /** @type {Settings["theme"]} */ (theme.value)));
  on(announce, "input", () => (settings.announce = announce.checked));
  on(server, "change", () => {
    settings.server = server.value;
    void showServer();
  });
  get("settings").addEventListener("submit", (event) => event.preventDefault());
  record.addEventListener("click", () => void toggle());
  get("copy").addEventListener("click", () => void copy());
  for (const button of document.querySelectorAll("[data-format]")) {
    const { format } = /** @type {HTMLElement} */ (button).dataset;
    button.addEventListener("click", () => void save(/** @type {keyof typeof FORMATS} */ (format)));
  }
  chrome.storage.local.onChanged.addListener(({ settings: changed }) => {
    if (!changed) return;
    settings.size = changed.newValue.size; // the overlay has buttons for it
    size.value = String(settings.size);
  });
  void showShortcut();
}

/**
 * @param {HTMLElement} control
 * @param {"input" | "change"} event
 * @param {() => void} change What it does to the settings, which are kept then.
 */
function on(control, event, change) {
  control.addEventListener(event, () => {
    change();
    void saveSettings(settings);
  });
}

async function toggle() {
  if (state.tabId !== null) return tell({ to: "background", kind: "stop" });
  if (thisTab !== undefined) await tell({ to: "background", kind: "start", tabId: thisTab });
}

// --- what is shown ------------------------------------------------------------------------

async function showState() {
  const isOn = state.tabId !== null;
  document.body.classList.toggle("is-recording", isOn);
  get("record-label").textContent = isOn ? "Stop" : "Start";
  const isElsewhere = isOn && state.tabId !== thisTab;
  const phase = describePhase(state.phase, true);
  get("state").textContent = isElsewhere ? "Another tab is captioned now." : phase;
  get("problem").textContent = state.problem;
  get("problem").hidden = state.problem === "";
  const recording = await findRecording();
  get("words").hidden = !recording?.lines.length;
}

async function showServer() {
  const typed = server.value;
  const problem = findProblem(typed);
  const told = get("server-state");
  server.setAttribute("aria-invalid", String(problem !== ""));
  told.textContent = problem;
  if (problem) return;
  const { info: url, page } = findEndpoints(typed);
  const info = await fetchInfo(url);
  if (server.value !== typed) return; // another one was asked meanwhile
  if (!info) {
    told.textContent = `Nothing answers at ${page}. Is the server running?`;
  } else if (info.is_embedded_model) {
    told.textContent = "This server runs its small demo model, which knows synthetic voices only.";
  } else {
    told.textContent = `Model: ${info.model}`;
  }
  language.length = 1;
  if (info) offerLanguages(language, info);
  showLanguage();
}

/** What was chosen stays so, also while no server says what it is called. */
function showLanguage() {
  const { language: code } = settings;
  language.value = code;
  if (language.selectedIndex < 0) language.add(new Option(code, code, true, true));
}

/** @param {string} address */
function findProblem(address) {
  try {
    findEndpoints(address);
    return "";
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    return error.message;
  }
}

async function showShortcut() {
  const commands = await chrome.commands.getAll();
  const { shortcut } = commands.find(({ name }) => name === "toggle-captions") ?? {};
  if (shortcut) get("shortcut").textContent = `Keys: ${shortcut}.`;
}

// --- the words ----------------------------------------------------------------------------

/** @returns {Promise<Recording | null>} */
async function findRecording() {
  const isOn = state.tabId !== null;
  return (isOn && (await tell({ to: "offscreen", kind: "recording" }))) || loadRecording();
}

async function copy() {
  const recording = await findRecording();
  if (recording) await copyText(toText(recording.lines));
  get("copy").textContent = "Copied";
}

/** @param {keyof typeof FORMATS} name */
async function save(name) {
  const recording = await findRecording();
  if (!recording) return;
  const { extension, mimeType, print } = FORMATS[name];
  const text = print(recording.lines, recording.origin);
  downloadText(fileName(new Date(), extension), mimeType, text);
}
