// What the server says about itself before a session.

/**
 * @typedef {object} ServerInfo
 * @property {string} model Of sessions that ask for none.
 * @property {boolean} is_embedded_model Whether it knows synthetic voices only.
 * @property {string | null} notice What its users should be told.
 * @property {string[]} languages Codes that it knows.
 * @property {boolean} detects_language
 * @property {string[]} [target_languages] Codes that it translates to.
 * @property {string | null} language Of sessions that name none; null: detected.
 */

/**
 * @param {string | URL} url Of `/info`.
 * @returns {Promise<ServerInfo | null>} Null if the server tells nothing: another program, or none.
 */
export async function fetchInfo(url) {
  try {
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/**
 * Offer languages by their names in the reader's own language, sorted.
 *
 * @param {HTMLSelectElement} select Its first option, the server's choice, stays.
 * @param {ServerInfo} info
 */
export function offerLanguages(select, info) {
  const choices = named(info.languages);
  if (info.detects_language) choices.unshift({ code: "auto", name: "Detect" });
  select.options[0].textContent = `Default (${info.language ? nameOf(info.language) : "detect"})`;
  for (const { code, name } of choices) select.add(new Option(name, code));
}

/**
 * Offer languages to translate to, in the same way; where there are none, nothing is offered.
 *
 * @param {HTMLSelectElement} select Its first option, no translation, stays.
 * @param {ServerInfo} info
 */
export function offerTargets(select, info) {
  const choices = named(info.target_languages ?? []);
  for (const { code, name } of choices) select.add(new Option(name, code));
  const setting = /** @type {HTMLElement} */ (select.closest(".setting"));
  setting.hidden = choices.length === 0;
}

/** @param {readonly string[]} codes */
function named(codes) {
  const choices = codes.map((code) => ({ code, name: nameOf(code) }));
  return choices.sort((one, other) => one.name.localeCompare(other.name));
}

/** @param {string} code Whisper's, or NLLB's such as `zho_Hant`. */
function nameOf(code) {
  const names = new Intl.DisplayNames(navigator.languages, { type: "language", fallback: "code" });
  return names.of(code.replace("_", "-")) ?? code;
}
