// The page's elements, and what is shown of a recording besides its captions.

import { formatClock } from "./captions.js";

/** @typedef {import("./client.js").Connection} Connection */

const LATE_S = 4;
const VERY_LATE_S = 10;
const NEAR_END_PX = 120;

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @returns {T}
 */
export function get(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element "${id}"`);
  return /** @type {T} */ (element);
}

/**
 * What the state line says.
 *
 * @param {Connection["phase"]} phase
 * @param {boolean} isLive
 * @returns {string}
 */
export function describePhase(phase, isLive) {
  switch (phase) {
    case "connecting":
      return "Connecting";
    case "open":
      return isLive ? "Listening" : "Transcribing";
    case "waiting":
      return "Connection lost";
    case "finishing":
      return "The last words";
    default:
      return "";
  }
}

/** @param {number} lagS */
export function showLag(lagS) {
  const badge = get("lag");
  badge.hidden = false;
  badge.textContent = `${lagS.toFixed(1)} s behind`;
  badge.dataset.tone = lagS > VERY_LATE_S ? "error" : lagS > LATE_S ? "warn" : "good";
}

/**
 * @param {number} positionS
 * @param {number | null} durationS
 */
export function showClock(positionS, durationS) {
  const total = durationS === null ? "" : ` of ${formatClock(durationS)}`;
  get("clock").textContent = formatClock(positionS) + total;
}

/** Offer to try again, with the seconds until that happens by itself. */
export class RetryButton {
  #button = get("retry");
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;

  /** @param {number} inS 0: nothing to retry. */
  show(inS) {
    clearInterval(this.#timer);
    this.#button.hidden = inS === 0;
    if (inS === 0) return;
    const at = Date.now() + inS * 1000;
    const count = () => {
      const leftS = Math.max(0, Math.ceil((at - Date.now()) / 1000));
      this.#button.textContent = `Try now (${leftS})`;
    };
    count();
    this.#timer = setInterval(count, 1000);
  }
}

/** Keeps the newest captions in sight, unless the reader has gone back. */
export class Follower {
  #button = get("newest");
  #isFollowing = true;
  #lastY = 0;

  constructor() {
    addEventListener("scroll", () => this.#look(), { passive: true });
    addEventListener("resize", () => this.follow(), { passive: true });
    this.#button.addEventListener("click", () => this.#goToEnd());
    // Captions get their height when they come in sight; the controls grow and shrink.
    const observer = new ResizeObserver(() => this.follow());
    observer.observe(get("captions"));
    observer.observe(get("bottom"));
  }

  /** There may be something new at the end. */
  follow() {
    if (this.#isFollowing) this.#goToEnd();
  }

  #goToEnd() {
    this.#isFollowing = true;
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
    this.#look();
  }

  #look() {
    const { scrollHeight } = document.documentElement;
    const isNearEnd = scrollHeight - innerHeight - scrollY < NEAR_END_PX;
    // Only a reader goes back; when captions grow, the end moves away.
    if (isNearEnd) this.#isFollowing = true;
    else if (scrollY < this.#lastY) this.#isFollowing = false;
    this.#lastY = scrollY;
    this.#button.hidden = this.#isFollowing;
  }
}

/** Close an open `details` menu as menus are closed: elsewhere, by Escape, by a choice. */
export function makeMenu(/** @type {HTMLDetailsElement} */ menu) {
  const summary = /** @type {HTMLElement} */ (menu.querySelector("summary"));
  addEventListener("click", ({ target }) => {
    const isInside = menu.contains(/** @type {Node} */ (target));
    const isChoice = /** @type {Element} */ (target).closest(".menu-items");
    if (!isInside || isChoice) menu.open = false;
  });
  menu.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape" || !menu.open) return;
    menu.open = false;
    summary.focus();
  });
  summary.addEventListener("click", (event) => {
    if (summary.getAttribute("aria-disabled") === "true") event.preventDefault();
  });
}
