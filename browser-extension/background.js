// The service worker: starts and stops captions, and shows on the button how they are. Browsers end
// it whenever it has nothing to do, so it keeps nothing in variables.

import { listen, tell } from "./messages.js";
import { IDLE, loadSettings, loadState, saveRecording, saveState } from "./store.js";

/** @typedef {import("./messages.js").Report} Report */
/** @typedef {import("./messages.js").ToBackground} ToBackground */
/** @typedef {import("./messages.js").ToOffscreen} ToOffscreen */
/** @typedef {import("./store.js").State} State */

const BADGES = new Map([
  ["connecting", { text: "…", color: "#5d6069" }],
  ["open", { text: "on", color: "#19713f" }],
  ["waiting", { text: "…", color: "#8a5a00" }],
  ["finishing", { text: "…", color: "#5d6069" }],
  ["failed", { text: "!", color: "#c02b1d" }],
]);
const NO_BADGE = { text: "", color: "#5d6069" };

const LOCKED_PAGE =
  "The browser lets no extension work on this page: its own pages, its web store, and files of " +
  "this computer unless the extension's details allow them.";

/** What the browser's errors mean to a person. */
const REASONS = [
  { pattern: /has not been invoked/, reason: "Click on the extension's button in that tab first." },
  { pattern: /active stream/, reason: "Another extension already takes the sound of this tab." },
  { pattern: /cannot (access|be scripted)|cannot be captured/i, reason: LOCKED_PAGE },
  { pattern: /no tab with id|tab was closed/i, reason: "The tab is gone." },
];

/** One thing after the other, however fast a person clicks. @type {Promise<void>} */
let work = Promise.resolve();

/** @param {() => Promise<void>} job */
function inTurn(job) {
  work = work.then(job, job);
  return work;
}

listen("background", (/** @type {ToBackground} */ message) => inTurn(() => take(message)));

chrome.commands.onCommand.addListener((command, tab) => {
  const tabId = tab?.id;
  if (command !== "toggle-captions" || tabId === undefined) return;
  void inTurn(async () => ((await loadState()).tabId === tabId ? stop() : start(tabId)));
});

/** @param {ToBackground} message */
async function take(message) {
  switch (message.kind) {
    case "start":
      return start(message.tabId);
    case "stop":
      return stop();
    case "connection":
      return showConnection(message);
    case "ended":
      if (message.id === (await loadState()).id) await end(message.report);
  }
}

/** @param {number} tabId Whose page the person has just invoked the extension on. */
async function start(tabId) {
  await stop();
  const id = crypto.randomUUID();
  await show({ id, tabId, phase: "connecting", problem: "" });
  try {
    await openOffscreen();
    await chrome.scripting.executeScript({ target: { tabId }, files: ["overlay.js"] });
    const streamId = await chrome.tabCapture.getMediaStreamId({ targetTabId: tabId });
    const { title: tabTitle = "" } = await chrome.tabs.get(tabId);
    const settings = await loadSettings();
    const message = { to: "offscreen", kind: "start", id, tabId, tabTitle, streamId, settings };
    const problem = await tell(/** @type {ToOffscreen} */ (message));
    if (problem) await end({ problem });
  } catch (error) {
    await end({ problem: explain(/** @type {Error} */ (error)) });
  }
}

async function stop() {
  const { tabId } = await loadState();
  const report = await tell({ to: "offscreen", kind: "stop" });
  if (report) await end(report);
  // The browser ended what was to be stopped.
  else if (tabId !== null) await end({ problem: "" });
}

/** @param {{problem: string} & Partial<Report>} report */
async function end({ problem, lines = [], origin }) {
  if (origin && lines.length > 0) await saveRecording({ lines, origin });
  if (await hasOffscreen()) await chrome.offscreen.closeDocument();
  const { tabId } = await loadState();
  await show({ ...IDLE, problem }, tabId);
}

/** @param {Extract<ToBackground, {kind: "connection"}>} message */
async function showConnection({ id, phase, reason }) {
  const state = await loadState();
  if (state.id === id) await show({ ...state, phase, problem: reason });
}

/**
 * @param {State} state
 * @param {number | null} tabId Whose button shows it.
 */
async function show(state, tabId = state.tabId) {
  await saveState(state);
  if (tabId === null) return;
  const isFailed = state.tabId === null && state.problem !== "";
  const { text, color } = BADGES.get(isFailed ? "failed" : state.phase) ?? NO_BADGE;
  const title = state.problem ? `Live captions: ${state.problem}` : "Live captions";
  try {
    await chrome.action.setBadgeText({ tabId, text });
    await chrome.action.setBadgeBackgroundColor({ tabId, color });
    await chrome.action.setTitle({ tabId, title });
  } catch {
    // The tab was closed, and its button with it.
  }
}

async function openOffscreen() {
  if (await hasOffscreen()) return;
  await chrome.offscreen.createDocument({
    url: "offscreen.html",
    reasons: [chrome.offscreen.Reason.USER_MEDIA],
    justification: "To send the sound of a tab to the person's own server, and to play it on.",
  });
}

async function hasOffscreen() {
  const contexts = await chrome.runtime.getContexts({
    contextTypes: [chrome.runtime.ContextType.OFFSCREEN_DOCUMENT],
  });
  return contexts.length > 0;
}

/**
 * @param {Error} error
 * @returns {string}
 */
function explain({ message }) {
  return REASONS.find(({ pattern }) => pattern.test(message))?.reason ?? message;
}
