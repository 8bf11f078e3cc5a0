// What a person chose, kept by the browser from one visit to the next.

/**
 * @typedef {object} Settings
 * @property {"auto" | "light" | "dark"} theme
 * @property {number} size Of the captions, from 1 to 6.
 * @property {boolean} times Whether they have their time beside them.
 * @property {boolean} announce Whether screen readers read new captions.
 * @property {import("./audio.js").AudioForm} form How sound is sent.
 * @property {"full" | "diff"} mode How captions come.
 * @property {string} language Whisper code, "auto", or empty for the server's.
 * @property {string} target Code to translate to; empty for none.
 * @property {string} device Of the microphone; empty for the standard one.
 */

const KEY = "whisper-streaming";
const SIZES_REM = [1, 1.1875, 1.375, 1.75, 2.25, 3];

/** @type {Readonly<Settings>} */
const DEFAULTS = {
  theme: "auto",
  size: 3,
  times: true,
  announce: true,
  form: "samples",
  mode: "full",
  language: "",
  target: "",
  device: "",
};

/** @returns {Settings} */
export function loadSettings() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS }; // storage is switched off, or holds something else
  }
}

/** @param {Settings} settings */
export function saveSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Storage is switched off: they hold for this visit.
  }
}

/**
 * Make the page look as chosen.
 *
 * @param {Settings} settings
 */
export function applySettings({ theme, size, times }) {
  const dark = /** @type {HTMLLinkElement} */ (document.getElementById("dark"));
  dark.media = { auto: "(prefers-color-scheme: dark)", light: "not all", dark: "all" }[theme];
  const root = document.documentElement;
  root.style.setProperty("--caption-size", `${SIZES_REM[size - 1]}rem`);
  root.classList.toggle("has-no-times", !times);
}

/**
 * Connect the controls of a form with `data-setting` to settings, both ways.
 *
 * @param {HTMLElement} form
 * @param {Settings} settings Changed in place.
 * @param {() => void} onChange
 */
export function bindSettings(form, settings, onChange) {
  const values = /** @type {Record<string, any>} */ (settings);
  for (const control of form.querySelectorAll("[data-setting]")) {
    const input = /** @type {HTMLInputElement} */ (control);
    const name = /** @type {string} */ (input.dataset.setting);
    if (input.type === "checkbox") input.checked = values[name];
    else input.value = String(values[name]);
    input.addEventListener("input", () => {
      values[name] = { checkbox: input.checked, range: Number(input.value) }[input.type] ?? input.value;
      saveSettings(settings);
      onChange();
    });
  }
}
