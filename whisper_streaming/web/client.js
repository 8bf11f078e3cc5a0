// One recording on its way through /asr: the socket, its reconnections, what is heard.
// Needs no page: it runs in workers, extensions and Node as well.

import { KeptAudio } from "./kept-audio.js";
import { OutOfStep, Transcript } from "./transcript.js";

export { Transcript };

/** @typedef {import("./transcript.js").Captions} Captions */

/**
 * How the connection is.
 *
 * @typedef {object} Connection
 * @property {"connecting" | "open" | "waiting" | "finishing" | "closed" | "failed"} phase
 *   `waiting`: lost, to be tried again. `closed`: all words were told. `failed`: no use in trying.
 * @property {string} reason Why it is waiting or failed, in words; else empty.
 * @property {number} retryInS Of `waiting`: seconds until the next try; else 0.
 * @property {boolean} wasLost Of `open`: whether it had been lost.
 * @property {number} lostS Of `open`: seconds of sound that could not be kept meanwhile.
 */

/**
 * @typedef {object} ClientOptions
 * @property {string} [language] Whisper code, or "auto"; without it, the server's.
 * @property {string} [targetLanguage] Code to translate to, beside the words; one that the server
 *   does not offer in `/info` is refused.
 * @property {"full" | "diff"} [mode] Whole states, with words that settle one by one, or only
 *   what changed, with lines that settle as a whole.
 * @property {() => number} [startContainer] For audio in containers (WebM, MP3, ...): begin the
 *   container anew, and return the second of the recording at which it begins. Called at each
 *   connection, before which nothing may be sent. Without it, audio is 16-bit samples at 16 kHz,
 *   which are kept and sent again where needed.
 * @property {number} [keepS] Seconds of samples that are kept, at most.
 * @property {Transcript} [transcript] To be continued; without it, a new one.
 * @property {number} [startS] Where the first sample is on the clock of the transcript.
 * @property {(captions: Captions) => void} [onCaptions]
 * @property {(connection: Connection) => void} [onConnection]
 * @property {(text: string) => void} [onWarning] What the server says that a person should know.
 * @property {ClientEnvironment} [environment] For tests.
 */

/**
 * @typedef {object} ClientEnvironment
 * @property {typeof WebSocket} WebSocket
 * @property {(call: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now Milliseconds.
 * @property {() => number} random In [0, 1).
 */

const KEEP_S = 180;
const SILENCE_TO_RESEND_S = 30; // nothing came of it, but the newest of it may be on its way
const STABLE_MS = 10_000; // a connection that lived so long was a good one
const TIME_IS_OVER = 1000; // the close code, where nobody asked for the end
const LONG_MS = 60_000; // no server ends a session sooner by itself,
const UNHEARD_S = 20; // and whoever speaks on is heard within this time

/** Close codes after which the same again would end the same. */
const HOPELESS = new Map([
  [1003, "The server cannot decode this audio."],
  [1007, "The server does not understand what this page sends."],
  [1009, "The server refuses messages of this size."],
  [4400, "The server cannot do what this page asks for."],
  [4401, "The server asks for a token."],
]);

const REASONS = new Map([
  [1000, "The server's time limit for one session was reached."],
  [1001, "The server went away."],
  [1006, "The server cannot be reached."],
  [1008, "The server could not deliver its messages in time."],
  [1011, "The server failed."],
  [1012, "The server is restarting."],
  [1013, "The server is busy."],
]);

/** Sends one recording and collects its captions; reconnects until told otherwise. */
export class CaptionClient {
  /** @type {ClientOptions} */ #options;
  /** @type {ClientEnvironment} */ #environment;
  /** @type {WebSocket | null} */ #socket = null;
  /** @type {any} */ #timer = null;
  #url;
  #transcript;
  #kept;
  #isReady = false; // audio may be sent
  #isFinishing = false;
  #isOver = false;
  #allWasTold = false;
  #wasLost = false;
  #timeWasOver = false;
  #error = "";
  #attempts = 0;
  #openedAt = 0;
  #droppedAt = 0;
  /** @type {() => void} */ #resolveEnded = () => {};
  /** Resolves when the last word was told, or nothing more will come. @type {Promise<void>} */
  ended = new Promise((resolve) => (this.#resolveEnded = resolve));

  /**
   * @param {string | URL} url For example `ws://localhost:9090/asr`.
   * @param {ClientOptions} [options]
   */
  constructor(url, options = {}) {
    const { language, targetLanguage, mode = "full", startS = 0, keepS = KEEP_S } = options;
    this.#url = new URL(url);
    this.#url.searchParams.set("mode", mode);
    if (language) this.#url.searchParams.set("language", language);
    if (targetLanguage) this.#url.searchParams.set("target_language", targetLanguage);
    this.#options = options;
    this.#environment = options.environment ?? {
      WebSocket: globalThis.WebSocket,
      setTimeout: globalThis.setTimeout.bind(globalThis),
      clearTimeout: globalThis.clearTimeout.bind(globalThis),
      now: Date.now,
      random: Math.random,
    };
    this.#transcript = options.transcript ?? new Transcript();
    this.#kept = new KeptAudio(startS, keepS);
  }

  /** @returns {Captions} */
  get captions() {
    return this.#transcript.captions;
  }

  /** Bytes that wait to be sent: who sends faster than in real time waits while there are many. */
  get bufferedBytes() {
    return this.#isReady ? (this.#socket?.bufferedAmount ?? 0) : Infinity;
  }

  /** Connect. Samples may be sent at once. */
  open() {
    this.#connect();
  }

  /** @param {ArrayBuffer | ArrayBufferView | Blob} audio Samples, or more of the container. */
  send(audio) {
    if (!(audio instanceof Blob) && !this.#options.startContainer) this.#kept.add(toBuffer(audio));
    if (this.#isReady) this.#socket?.send(/** @type {ArrayBuffer} */ (audio));
  }

  /**
   * End the audio; the last words follow.
   *
   * @returns {Promise<void>} When they were told.
   */
  finish() {
    this.#isFinishing = true;
    if (this.#isReady) {
      this.#sendEnd();
    } else if (this.#options.startContainer) {
      this.#end("closed", ""); // what is not sent yet cannot be sent again
    }
    return this.ended;
  }

  /** Give up at once: what is not final yet is lost. */
  close() {
    this.#end("closed", "");
  }

  /** Try again now instead of later; for example when the network is back. */
  retryNow() {
    if (this.#timer !== null) this.#connect();
  }

  #connect() {
    this.#stopTimer();
    const socket = new this.#environment.WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#allWasTold = false;
    this.#error = "";
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#read(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#lose(code);
    };
    this.#tell({ phase: "connecting" });
  }

  /** @param {any} message */
  #read(message) {
    switch (message.type) {
      case "config":
        this.#begin();
        break;
      case "error":
        this.#error = message.error;
        break;
      case "ready_to_stop":
        this.#allWasTold = true;
        break;
      default:
        this.#readState(message);
    }
  }

  #begin() {
    const { startContainer } = this.#options;
    const startS = startContainer ? startContainer() : this.#kept.startS;
    if (this.#timeWasOver && startS < this.#transcript.endS) {
      return this.#end("failed", FILE_TOO_LONG); // it would begin again and again
    }
    const lostS = this.#wasLost ? this.#takeLostS() : 0;
    this.#transcript.begin(startS);
    if (lostS > 0) this.#transcript.addGap(Math.max(0, startS - lostS), startS);
    this.#isReady = true;
    this.#openedAt = this.#environment.now();
    for (const samples of this.#kept.chunks) this.#socket?.send(samples);
    if (this.#wasLost) this.#options.onCaptions?.(this.captions);
    this.#tell({ phase: "open", wasLost: this.#wasLost, lostS });
    this.#wasLost = false;
    if (this.#isFinishing) this.#sendEnd();
  }

  /** @param {any} message */
  #readState(message) {
    try {
      this.#transcript.read(message);
    } catch (error) {
      if (!(error instanceof OutOfStep)) throw error;
      this.#socket?.close(4000, "out of step");
      return;
    }
    this.#error = message.error ?? "";
    this.#kept.dropBefore(this.#transcript.endS);
    this.#options.onCaptions?.(this.captions);
    if (message.warning) this.#options.onWarning?.(message.warning);
  }

  /** @param {number} code Of the close. */
  #lose(code) {
    const wasReady = this.#isReady;
    this.#isReady = false;
    this.#socket = null;
    const isComplete = this.#allWasTold && !this.#hasUnheardEnd();
    if (this.#isFinishing && isComplete) return this.#end("closed", "");
    this.#timeWasOver = code === TIME_IS_OVER && Boolean(this.#options.startContainer);
    const reason = this.#error ? sentence(this.#error) : null;
    const hopeless = HOPELESS.get(code);
    if (hopeless) return this.#end("failed", reason ?? hopeless);
    if (this.#isFinishing && this.#options.startContainer) {
      return this.#end("failed", reason ?? LOST_WHILE_FINISHING);
    }
    if (wasReady) this.#keepWhatMatters();
    this.#retry(reason ?? REASONS.get(code) ?? `The connection was closed (${code}).`);
  }

  /**
   * Whether the server may have ended a long recording before it had all of it: then there is
   * much sound without words. If that was silence, asking again costs little.
   */
  #hasUnheardEnd() {
    const isLong = this.#environment.now() - this.#openedAt > LONG_MS;
    return isLong && this.#kept.endS - this.#transcript.endS > UNHEARD_S;
  }

  #keepWhatMatters() {
    const nowMs = this.#environment.now();
    if (nowMs - this.#openedAt > STABLE_MS) this.#attempts = 0;
    this.#droppedAt = nowMs;
    this.#wasLost = true;
    const settledS = this.#transcript.isSettled ? this.#kept.endS - SILENCE_TO_RESEND_S : 0;
    this.#kept.dropBefore(Math.max(this.#transcript.endS, settledS));
    this.#kept.takeLostS(); // what went before was heard
    this.#transcript.breakOff(Boolean(this.#options.startContainer));
    this.#options.onCaptions?.(this.captions);
  }

  /** @param {string} reason */
  #retry(reason) {
    const delayMs = retryDelayMs(this.#attempts, this.#environment.random());
    this.#attempts += 1;
    this.#timer = this.#environment.setTimeout(() => this.#connect(), delayMs);
    this.#tell({ phase: "waiting", reason, retryInS: delayMs / 1000 });
  }

  /** @returns {number} Seconds of sound that were lost with the connection. */
  #takeLostS() {
    if (!this.#options.startContainer) return this.#kept.takeLostS();
    return (this.#environment.now() - this.#droppedAt) / 1000;
  }

  #sendEnd() {
    this.#socket?.send(new ArrayBuffer(0));
    this.#tell({ phase: "finishing" });
  }

  /**
   * @param {"closed" | "failed"} phase
   * @param {string} reason
   */
  #end(phase, reason) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#stopTimer();
    const socket = this.#socket;
    this.#socket = null;
    this.#isReady = false;
    socket?.close();
    this.#transcript.breakOff(true);
    this.#options.onCaptions?.(this.captions);
    this.#tell({ phase, reason });
    this.#resolveEnded();
  }

  #stopTimer() {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** @param {Partial<Connection> & Pick<Connection, "phase">} connection */
  #tell(connection) {
    this.#options.onConnection?.({ ...NOTHING_TO_SAY, ...connection });
  }
}

const NOTHING_TO_SAY = { reason: "", retryInS: 0, wasLost: false, lostS: 0 };
const FILE_TOO_LONG =
  "The server's time limit for one session was reached. Sent as samples, a file can go on in another.";
const LOST_WHILE_FINISHING = "The connection was lost before the last words came.";

/**
 * Half a second, doubled with each try up to 30 s, and scattered: many pages lose a server at the
 * same time.
 *
 * @param {number} attempt From 0 on.
 * @param {number} random In [0, 1).
 * @returns {number}
 */
export function retryDelayMs(attempt, random) {
  return Math.round(Math.min(30_000, 500 * 2 ** attempt) * (0.8 + 0.4 * random));
}

/**
 * @param {ArrayBuffer | ArrayBufferView} audio
 * @returns {ArrayBuffer} Its bytes, without what may be around them.
 */
function toBuffer(audio) {
  if (audio instanceof ArrayBuffer) return audio;
  const { buffer, byteOffset, byteLength } = audio;
  return /** @type {ArrayBuffer} */ (buffer.slice(byteOffset, byteOffset + byteLength));
}

/**
 * @param {string} text
 * @returns {string} With a capital letter and a full stop.
 */
function sentence(text) {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}
