// The captions page: what its controls do.

import { AudioError, findAbilities, listMicrophones, openFile, openMicrophone, openTab } from "./audio.js";
import { Announcer, CaptionView } from "./captions.js";
import { FORMATS, fileName, toText } from "./export.js";
import { LevelMeter } from "./meter.js";
import { Notices } from "./notices.js";
import { Follower, RetryButton, describePhase, get, makeMenu, showClock, showLag } from "./page.js";
import { WakeLock, copyText, downloadText } from "./save.js";
import { fetchInfo, offerLanguages, offerTargets } from "./server-info.js";
import { CaptionSession } from "./session.js";
import { applySettings, bindSettings, loadSettings, saveSettings } from "./settings.js";
import { Transcript } from "./transcript.js";

/** @typedef {import("./audio.js").Source} Source */
/** @typedef {import("./client.js").Connection} Connection */
/** @typedef {import("./transcript.js").Captions} Captions */

const CLOCK_MS = 250;
const DOUBLE_CLICK_MS = 600; // who clicks twice by habit still gets the last words
const NEW_TRANSCRIPT =
  "A file begins a new transcript, and the one on this page has not been saved. Go on?";

const DEMO_MODEL =
  "It understands synthetic voices only. For people, start the server with `--model small` or larger.";

const settings = loadSettings();
const abilities = findAbilities();
const notices = new Notices(get("notices"));
const events = new Notices(get("events"));
const view = new CaptionView(get("captions"));
const announcer = new Announcer(get("announcer"));
const follower = new Follower();
const retryButton = new RetryButton();
const wakeLock = new WakeLock();
const meter = new LevelMeter(get("meter"), showSilence);
const fileInput = /** @type {HTMLInputElement} */ (get("file"));
const languageSelect = /** @type {HTMLSelectElement} */ (get("language"));
const targetSelect = /** @type {HTMLSelectElement} */ (get("target"));
const deviceSelect = /** @type {HTMLSelectElement} */ (get("device"));

const transcript = new Transcript();
/** @type {CaptionSession | null} */ let session = null;
/** Where the next recording begins on the clock of the transcript. */
let nextStartS = 0;
let isSaved = true;
let isStarting = false;
let stoppedAt = 0;
/** What the server tells in each session, and this page in its own words. */
let knownNotice = "";
/** @type {import("./export.js").Origin} */
let origin = { created: "", model: null, language: null, source: null };

prepare();

function prepare() {
  applySettings(settings);
  announcer.isOn = settings.announce;
  bindSettings(get("settings"), settings, () => {
    applySettings(settings);
    announcer.isOn = settings.announce;
    follower.follow();
  });
  get("host").textContent = location.host;
  get("record").addEventListener("click", () => void (session ? stop() : start()));
  get("retry").addEventListener("click", () => session?.retryNow());
  addEventListener("online", () => session?.retryNow());
  addEventListener("beforeunload", (event) => {
    if (session || !isSaved) event.preventDefault();
  });
  prepareSources();
  prepareTools();
  void showServer();
}

// --- before a recording -------------------------------------------------------------------

function prepareSources() {
  for (const radio of sourceRadios()) radio.addEventListener("change", showSource);
  const unavailable = [];
  if (!abilities.microphone) unavailable.push("microphone");
  if (!abilities.tab) unavailable.push("tab");
  for (const radio of sourceRadios()) radio.disabled = unavailable.includes(radio.value);
  if (!abilities.microphone) chooseSource("file");
  if (!isSecureContext) {
    notices.show("insecure", "warn", "The microphone is locked on this address.", insecureText());
  }
  deviceSelect.addEventListener("change", () => {
    settings.device = deviceSelect.value;
    saveSettings(settings);
  });
  languageSelect.addEventListener("change", () => {
    settings.language = languageSelect.value;
    saveSettings(settings);
  });
  navigator.mediaDevices?.addEventListener("devicechange", () => void showMicrophones());
  void showMicrophones();
  showSource();
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", takeDroppedFile);
}

function insecureText() {
  const { port, hostname } = location;
  return (
    "Browsers give sound only to pages that came over https, or from the same machine. Start the " +
    `server with \`--ssl-certfile\` and \`--ssl-keyfile\` and open \`https://${location.host}/\`, ` +
    `or open \`http://localhost${port ? `:${port}` : ""}/\` on ${hostname} itself. ` +
    "Files can be captioned here as it is."
  );
}

/** @returns {HTMLInputElement[]} */
function sourceRadios() {
  return [...document.querySelectorAll("input[name=source]")].map(
    (radio) => /** @type {HTMLInputElement} */ (radio),
  );
}

function chosenSource() {
  return sourceRadios().find((radio) => radio.checked)?.value ?? "microphone";
}

/** @param {string} name */
function chooseSource(name) {
  for (const radio of sourceRadios()) radio.checked = radio.value === name;
  showSource();
}

function showSource() {
  const source = chosenSource();
  for (const element of document.querySelectorAll("[data-for]")) {
    const field = /** @type {HTMLElement} */ (element);
    field.hidden = field.dataset.for !== source;
  }
}

async function showMicrophones() {
  const named = (await listMicrophones()).filter(({ id, label }) => id && label);
  if (named.length === 0) return; // the browser tells after the first permission
  const standard = deviceSelect.options[0];
  deviceSelect.replaceChildren(standard);
  for (const { id, label } of named) {
    if (id !== "default") deviceSelect.add(new Option(label, id));
  }
  deviceSelect.value = settings.device;
  if (deviceSelect.selectedIndex < 0) deviceSelect.value = "";
}

async function showServer() {
  const info = await fetchInfo(new URL("info", document.baseURI));
  if (!info) return;
  origin.model = info.model;
  const chip = get("model");
  chip.hidden = false;
  chip.textContent = info.is_embedded_model ? "demo model" : info.model;
  chip.classList.toggle("is-warning", info.is_embedded_model);
  if (info.is_embedded_model) {
    knownNotice = info.notice ?? "";
    notices.show("model", "warn", "This server runs its small demo model.", DEMO_MODEL);
  }
  offerLanguages(languageSelect, info);
  languageSelect.value = settings.language;
  if (languageSelect.selectedIndex < 0) languageSelect.value = "";
  offerTargets(targetSelect, info);
  targetSelect.value = settings.target;
  if (targetSelect.selectedIndex < 0) targetSelect.value = ""; // what is not offered is not asked for
}

/** @param {DragEvent} event */
function takeDroppedFile(event) {
  event.preventDefault();
  const files = event.dataTransfer?.files;
  if (!files?.length || session) return;
  fileInput.files = files;
  chooseSource("file");
}

// --- a recording --------------------------------------------------------------------------

async function start() {
  if (isStarting) return;
  const kind = chosenSource();
  const file = fileInput.files?.[0];
  if (kind === "file" && !file) return fileInput.click();
  if (kind === "file" && !isSaved && !confirm(NEW_TRANSCRIPT)) return;
  isStarting = true;
  events.hide("source");
  events.hide("connection");
  try {
    const source = await openSource(kind, file);
    if (kind === "file") clear();
    begin(source, file?.name ?? kind);
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    events.show("source", "error", "There is no sound.", message);
    if (!(error instanceof AudioError)) throw error;
  } finally {
    isStarting = false;
  }
}

/**
 * @param {string} kind
 * @param {File | undefined} file
 * @returns {Promise<Source>}
 */
async function openSource(kind, file) {
  const { form } = settings;
  if (kind === "file" && file) return openFile(file, { form });
  if (kind === "tab") return openTab({ form });
  const source = await openMicrophone({ deviceId: deviceSelect.value, form });
  void showMicrophones(); // with the permission come their names
  return source;
}

/**
 * @param {Source} source
 * @param {string} name
 */
function begin(source, name) {
  const { language, mode } = settings;
  if (origin.created === "") origin = { ...origin, created: new Date().toISOString() };
  origin = { ...origin, source: name, language: language || null };
  const recording = new CaptionSession(
    socketUrl(),
    source,
    {
      language,
      targetLanguage: targetSelect.value,
      mode,
      transcript,
      startS: nextStartS,
      onCaptions: showCaptions,
      onConnection: (connection) => showConnection(connection, source),
      onWarning: showWarning,
    },
    (reason) => {
      if (reason) events.show("source", "warn", "There is no more sound.", reason);
    },
  );
  session = recording;
  showRecording(true);
  recording.start();
  get("meter").hidden = !source.isLive;
  if (source.isLive) meter.start(() => source.level());
  const clock = setInterval(() => showClock(recording.positionS, source.durationS), CLOCK_MS);
  void recording.ended.then(() => {
    clearInterval(clock);
    end(recording);
  });
}

/** @param {CaptionSession} recording */
function end(recording) {
  nextStartS = Math.max(recording.positionS, transcript.endS);
  session = null;
  meter.stop();
  retryButton.show(0);
  events.hide("silence");
  showRecording(false);
}

async function stop() {
  const now = Date.now();
  if (now - stoppedAt < DOUBLE_CLICK_MS) return;
  stoppedAt = now;
  get("record-label").textContent = "Stop now"; // the second time it does not wait
  await session?.stop();
}

function socketUrl() {
  const url = new URL("asr", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  return url;
}

/** @param {boolean} isRecording */
function showRecording(isRecording) {
  document.title = isRecording ? "● Live captions" : "Live captions";
  get("dock").classList.toggle("is-recording", isRecording);
  get("setup").hidden = isRecording;
  get("live").hidden = !isRecording;
  get("lag").hidden = true;
  get("record-label").textContent = isRecording ? "Stop" : "Start";
  get("clock").textContent = "0:00";
  showTools();
  void wakeLock.want(isRecording);
}

/** @param {Captions} captions */
function showCaptions(captions) {
  get("empty").hidden = captions.lines.length > 0 || captions.unstable !== "";
  view.show(captions);
  announcer.show(captions);
  showLag(captions.lagS);
  if (captions.lines.length > 0) isSaved = false;
  showTools();
  follower.follow();
}

/**
 * @param {Connection} connection
 * @param {Source} source
 */
function showConnection({ phase, reason, retryInS, wasLost, lostS }, source) {
  get("state").textContent = describePhase(phase, source.isLive);
  retryButton.show(retryInS);
  if (phase !== "open") get("lag").hidden = true;
  if (phase === "waiting") {
    const kept = source.form === "samples" ? "What is said now is kept and captioned later." : "";
    events.show("connection", "warn", "The connection is lost; trying again.", `${reason} ${kept}`);
  } else if (phase === "failed") {
    events.show("connection", "error", "The captions stopped.", reason);
  } else if (phase === "open" && wasLost) {
    showReturn(lostS);
  }
}

/** @param {number} lostS */
function showReturn(lostS) {
  const seconds = Math.round(lostS);
  if (seconds < 1) {
    events.show("connection", "good", "Connected again.", "Nothing was lost.");
  } else {
    const text = `${seconds} s of sound were not transcribed.`;
    events.show("connection", "warn", "Connected again.", text);
  }
}

/** @param {string} text From the server. */
function showWarning(text) {
  const news = text.replace(knownNotice, "").replace(/^[; ]+|[; ]+$/g, "");
  if (news) events.show("warning", "warn", "The server says:", news);
}

/** @param {boolean} isSilent */
function showSilence(isSilent) {
  // A tab may be silent for good reasons.
  if (!isSilent || origin.source !== "microphone") return events.hide("silence");
  const text = "Is the microphone muted, or the wrong one chosen?";
  events.show("silence", "warn", "Nothing can be heard.", text);
}

// --- after a recording --------------------------------------------------------------------

function prepareTools() {
  const dialog = /** @type {HTMLDialogElement} */ (get("settings"));
  get("open-settings").addEventListener("click", () => dialog.showModal());
  get("copy").addEventListener("click", () => void copy());
  get("clear").addEventListener("click", () => {
    if (isSaved || confirm("Clear captions that have not been saved?")) clear();
  });
  makeMenu(/** @type {HTMLDetailsElement} */ (get("download")));
  for (const element of document.querySelectorAll("[data-format]")) {
    const { format } = /** @type {HTMLElement} */ (element).dataset;
    element.addEventListener("click", () => download(/** @type {keyof typeof FORMATS} */ (format)));
  }
}

function showTools() {
  const isEmpty = transcript.lines.length === 0;
  /** @type {HTMLButtonElement} */ (get("copy")).disabled = isEmpty;
  /** @type {HTMLButtonElement} */ (get("clear")).disabled = isEmpty || session !== null;
  get("download").querySelector("summary")?.setAttribute("aria-disabled", String(isEmpty));
}

async function copy() {
  await copyText(toText(transcript.lines));
  isSaved = true;
  events.show("saved", "good", "Copied.");
}

/** @param {keyof typeof FORMATS} name */
function download(name) {
  const { extension, mimeType, print } = FORMATS[name];
  const text = print(transcript.lines, origin);
  downloadText(fileName(new Date(), extension), mimeType, text);
  isSaved = session === null;
}

function clear() {
  transcript.clear();
  nextStartS = 0;
  isSaved = true;
  origin = { ...origin, created: "" };
  announcer.forget();
  view.show(transcript.captions);
  get("empty").hidden = false;
  showTools();
}
