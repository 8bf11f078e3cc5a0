// One recording of a tab: from its sound to the captions over its page.

import { Announcer, rowsOf } from "./web/captions.js";
import { describePhase } from "./web/page.js";
import { fetchInfo } from "./web/server-info.js";
import { CaptionSession } from "./web/session.js";
import { Transcript } from "./web/transcript.js";
import { tell } from "./messages.js";

/** @typedef {import("./messages.js").Report} Report */
/** @typedef {import("./messages.js").ToOverlay} ToOverlay */
/** @typedef {import("./store.js").Recording} Recording */
/** @typedef {import("./web/captions.js").Row} Row */
/** @typedef {import("./web/client.js").Captions} Captions */
/** @typedef {import("./web/client.js").Connection} Connection */

const SHOWN_ROWS = 12; // more than fit over a page
const LAST_WORDS_MS = 5000;
const LATE_S = 4;
const LOOK_MS = 1000;
const SILENT_BELOW = 0.02;
const SILENT_MS = 10_000;
const NEWS_MS = 8000;
const SILENT = "This tab makes no sound.";

/** Captions a tab until it or the person ends that. */
export class TabCaptions {
  #id;
  #port;
  #sound;
  #session;
  #announcer;
  #transcript = new Transcript();
  #origin;
  #phase = /** @type {Connection["phase"]} */ ("connecting");
  #problem = "";
  #heardAt = performance.now();
  /** What the person should know, the most important first. */
  #notices = { connection: "", warning: "", silence: "" };
  /** @type {Promise<Report>} */ ended;

  /**
   * @param {object} parts
   * @param {string} parts.id Of the recording.
   * @param {chrome.runtime.Port} parts.port To the overlay.
   * @param {import("./tab-sound.js").TabSound} parts.sound
   * @param {import("./address.js").Endpoints} parts.endpoints
   * @param {import("./store.js").Settings} parts.settings
   * @param {string} parts.tabTitle
   */
  constructor({ id, port, sound, endpoints, settings, tabTitle }) {
    const { language, announce } = settings;
    this.#id = id;
    this.#port = port;
    this.#sound = sound;
    /** @type {import("./web/export.js").Origin} */
    this.#origin = {
      created: new Date().toISOString(),
      model: null,
      language: language || null,
      source: tabTitle,
    };
    this.#announcer = new Announcer(asRegion((text) => this.#post({ kind: "announce", text })));
    this.#announcer.isOn = announce;
    this.#session = new CaptionSession(endpoints.socket, sound.source, {
      language,
      transcript: this.#transcript,
      onCaptions: (captions) => this.#showCaptions(captions),
      onConnection: (connection) => this.#showConnection(connection),
      onWarning: (text) => this.#tellNews("warning", text),
    });
    port.onMessage.addListener(() => void this.stop()); // its only message
    // The page is gone, or another one is in its place.
    port.onDisconnect.addListener(() => this.#stopNow());
    void this.#learnModel(endpoints.info);
    this.#session.start();
    const look = setInterval(() => this.#lookForSilence(), LOOK_MS);
    this.ended = this.#session.ended.then(async () => {
      clearInterval(look);
      await sound.close();
      return { ...this.recording, problem: this.#problem };
    });
  }

  /** @returns {Recording} What was heard so far. */
  get recording() {
    return { lines: this.#transcript.lines, origin: this.#origin };
  }

  /**
   * End it, with the last words if the server gives them soon.
   *
   * @returns {Promise<Report>}
   */
  async stop() {
    if (this.#phase !== "open") this.#stopNow();
    else void this.#session.stop();
    const timer = setTimeout(() => void this.#session.stop(), LAST_WORDS_MS);
    const report = await this.ended;
    clearTimeout(timer);
    return report;
  }

  retryNow() {
    this.#session.retryNow();
  }

  #stopNow() {
    void this.#session.stop();
    void this.#session.stop(); // the second time it does not wait
  }

  /** @param {string} url */
  async #learnModel(url) {
    const info = await fetchInfo(url);
    this.#origin = { ...this.#origin, model: info?.model ?? null };
  }

  /** @param {Captions} captions */
  #showCaptions(captions) {
    this.#announcer.show(captions);
    const { lagS } = captions;
    this.#post({ kind: "captions", rows: rowsOf(captions).slice(-SHOWN_ROWS) });
    if (this.#phase === "open") {
      this.#showState(lagS > LATE_S ? `${Math.round(lagS)} s behind` : describePhase("open", true));
    }
  }

  /** @param {Connection} connection */
  #showConnection({ phase, reason, wasLost, lostS }) {
    this.#phase = phase;
    if (phase === "failed") this.#problem = reason;
    this.#showState(phase === "failed" ? "Stopped" : describePhase(phase, true));
    if (phase === "open" && wasLost) {
      const lost = Math.round(lostS);
      const end = lost < 1 ? "Nothing was lost." : `${lost} s of sound were not transcribed.`;
      this.#tellNews("connection", `Connected again. ${end}`);
    } else if (phase !== "connecting") {
      // It is tried again all the time: what is wrong stays to be read meanwhile.
      this.#notices.connection = phase === "waiting" ? `${reason} Trying again.` : reason;
      this.#showNotice();
    }
    void tell({ to: "background", kind: "connection", id: this.#id, phase, reason });
  }

  #lookForSilence() {
    // Browsers look less often where nobody sees the page, so looks cannot be counted.
    if (this.#sound.source.level() >= SILENT_BELOW) this.#heardAt = performance.now();
    const notice = performance.now() - this.#heardAt >= SILENT_MS ? SILENT : "";
    if (notice === this.#notices.silence) return;
    this.#notices.silence = notice;
    this.#showNotice();
  }

  /**
   * @param {"connection" | "warning"} kind
   * @param {string} text That goes by itself.
   */
  #tellNews(kind, text) {
    this.#notices[kind] = text;
    this.#showNotice();
    setTimeout(() => {
      if (this.#notices[kind] !== text) return;
      this.#notices[kind] = "";
      this.#showNotice();
    }, NEWS_MS);
  }

  #showNotice() {
    const { connection, warning, silence } = this.#notices;
    const isLast = this.#phase === "failed";
    this.#post({ kind: "notice", text: connection || warning || silence, isLast });
  }

  /** @param {string} text */
  #showState(text) {
    this.#post({ kind: "state", text });
  }

  /** @param {ToOverlay} message */
  #post(message) {
    try {
      this.#port.postMessage(message);
    } catch {
      // The page is gone, and its `onDisconnect` ends this recording.
    }
  }
}

/**
 * @param {(text: string) => void} read
 * @returns {HTMLElement} As much of one as an `Announcer` needs: the region is in another page.
 */
function asRegion(read) {
  const region = {
    set textContent(/** @type {string} */ text) {
      read(text);
    },
  };
  return /** @type {HTMLElement} */ (region);
}
