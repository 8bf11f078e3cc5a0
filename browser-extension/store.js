// What is kept: settings for good, the rest until the browser ends.

/**
 * @typedef {object} Settings
 * @property {string} server Its address, as typed.
 * @property {string} language Whisper code, "auto", or empty for the server's.
 * @property {"dark" | "light" | "auto"} theme Of the captions over the page.
 * @property {number} size Of their text, from 1 to 6.
 * @property {boolean} announce Whether screen readers read new captions.
 */

/**
 * What the extension does now.
 *
 * @typedef {object} State
 * @property {string} id Of the recording; empty if there is none.
 * @property {number | null} tabId Whose sound is captioned; null: nobody's.
 * @property {import("./web/client.js").Connection["phase"]} phase
 * @property {string} problem Why it waits, or why it ended; else empty.
 */

/**
 * The words of the last recording.
 *
 * @typedef {object} Recording
 * @property {import("./web/transcript.js").Line[]} lines
 * @property {import("./web/export.js").Origin} origin
 */

/** @type {Readonly<Settings>} */
export const DEFAULTS = {
  server: "http://localhost:9090",
  language: "",
  theme: "dark",
  size: 3,
  announce: false,
};

/** @type {Readonly<State>} */
export const IDLE = { id: "", tabId: null, phase: "closed", problem: "" };

/** @returns {Promise<Settings>} */
export async function loadSettings() {
  const { settings } = await chrome.storage.local.get("settings");
  return { ...DEFAULTS, ...settings };
}

/** @param {Settings} settings */
export async function saveSettings(settings) {
  await chrome.storage.local.set({ settings });
}

/** @returns {Promise<State>} */
export async function loadState() {
  const { state } = await chrome.storage.session.get("state");
  return state ?? IDLE;
}

/** @param {State} state */
export async function saveState(state) {
  await chrome.storage.session.set({ state });
}

/** @returns {Promise<Recording | null>} */
export async function loadRecording() {
  const { recording } = await chrome.storage.session.get("recording");
  return recording ?? null;
}

/** @param {Recording} recording */
export async function saveRecording(recording) {
  await chrome.storage.session.set({ recording });
}
