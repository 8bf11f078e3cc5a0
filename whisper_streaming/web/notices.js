// What a person should know now, as cards that can be closed.

/** @typedef {"warn" | "error" | "good"} Tone */

const GOOD_NEWS_MS = 8000;

/** At most one notice of each kind. */
export class Notices {
  /** @type {Map<string, HTMLElement>} */ #shown = new Map();
  #region;

  /** @param {HTMLElement} region A live region. */
  constructor(region) {
    this.#region = region;
  }

  /**
   * Show a notice instead of the one before of its kind.
   *
   * @param {string} kind
   * @param {Tone} tone Good news goes by itself.
   * @param {string} title
   * @param {string} [text] What is between backticks is to be typed.
   */
  show(kind, tone, title, text = "") {
    this.hide(kind);
    const notice = document.createElement("div");
    notice.className = "notice";
    notice.dataset.tone = tone;
    notice.dataset.kind = kind;
    const words = document.createElement("p");
    words.className = "notice-text";
    const heading = document.createElement("b");
    heading.textContent = title;
    words.append(heading, " ", ...text.split("`").map(toNode));
    notice.append(words, this.#createCloser(kind));
    this.#region.append(notice);
    this.#shown.set(kind, notice);
    if (tone === "good") setTimeout(() => this.#hideThis(kind, notice), GOOD_NEWS_MS);
  }

  /** @param {string} kind */
  hide(kind) {
    this.#shown.get(kind)?.remove();
    this.#shown.delete(kind);
  }

  /**
   * @param {string} kind
   * @param {HTMLElement} notice
   */
  #hideThis(kind, notice) {
    if (this.#shown.get(kind) === notice) this.hide(kind);
  }

  /** @param {string} kind */
  #createCloser(kind) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "notice-close";
    button.setAttribute("aria-label", "Close this notice");
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", "#i-close");
    icon.setAttribute("aria-hidden", "true");
    icon.append(use);
    button.append(icon);
    button.addEventListener("click", () => this.hide(kind));
    return button;
  }
}

/**
 * @param {string} text
 * @param {number} index Of the part: every second one was between backticks.
 * @returns {Node | string}
 */
function toNode(text, index) {
  if (index % 2 === 0) return text;
  const code = document.createElement("code");
  code.textContent = text;
  return code;
}
