// One recording: a source of sound, a connection, and what becomes of them.

import { CaptionClient } from "./client.js";

/** @typedef {import("./audio.js").Source} Source */
/** @typedef {import("./client.js").ClientOptions} ClientOptions */

const MAX_BUFFERED_BYTES = 256 * 1024; // eight seconds of samples: never idle, soon stopped
const LOOK_AGAIN_MS = 50; // a socket does not tell when there is room

/** Sends what a source gives until it ends or is told to. */
export class CaptionSession {
  #source;
  #startS;
  #client;
  #isStopping = false;
  #onSourceEnd;
  /** Resolves when all is told, or nothing more will come, and the device is let go. */
  ended;

  /**
   * @param {string | URL} url Of `/asr`.
   * @param {Source} source
   * @param {Omit<ClientOptions, "startContainer" | "keepS">} options
   * @param {(reason: string) => void} [onSourceEnd] The source ended by itself; with a reason if
   *   that is a surprise.
   */
  constructor(url, source, options, onSourceEnd = () => {}) {
    this.#source = source;
    this.#startS = options.startS ?? 0;
    this.#onSourceEnd = onSourceEnd;
    this.#client = new CaptionClient(url, {
      ...options,
      startContainer:
        source.form === "container" ? () => this.#startS + source.restart() : undefined,
      // A file is in memory anyway.
      keepS: source.isLive ? undefined : Infinity,
    });
    this.ended = this.#client.ended.then(() => {
      this.#isStopping = true;
      return source.stop();
    });
  }

  /** Seconds on the clock of the transcript. */
  get positionS() {
    return this.#startS + this.#source.positionS();
  }

  start() {
    this.#source.start({
      onAudio: (audio) => this.#client.send(audio),
      onEnd: (reason) => {
        this.#onSourceEnd(reason);
        void this.stop();
      },
      whenWanted: () => this.#whenWanted(),
    });
    this.#client.open();
  }

  /** End the sound and wait for the last words; the second time, do not wait. */
  async stop() {
    if (this.#isStopping) return this.#client.close();
    this.#isStopping = true;
    await this.#source.stop();
    await this.#client.finish();
  }

  retryNow() {
    this.#client.retryNow();
  }

  async #whenWanted() {
    while (!this.#isStopping && this.#client.bufferedBytes > MAX_BUFFERED_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
  }
}
