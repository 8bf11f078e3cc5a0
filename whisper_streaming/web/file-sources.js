// Files, decoded to samples or sent as they are; as fast as the other side takes them.

import { levelOf } from "./level.js";
import { toInt16 } from "./resample.js";

/** @typedef {import("./audio.js").Source} Source */
/** @typedef {import("./audio.js").Sink} Sink */

const RATE = 16000;
const CHUNK_S = 0.5;
const CHUNK_BYTES = 64 * 1024;

/** @implements {Source} */
export class DecodedFile {
  form = /** @type {const} */ ("samples");
  isLive = false;
  #samples;
  #given = 0;
  #level = 0;
  #isStopped = false;

  /** @param {AudioBuffer} buffer At 16 kHz. */
  constructor(buffer) {
    this.#samples = mixDown(buffer);
    this.durationS = buffer.duration;
  }

  /** @param {Sink} sink */
  async start(sink) {
    const step = CHUNK_S * RATE;
    while (this.#given < this.#samples.length) {
      await sink.whenWanted();
      if (this.#isStopped) return;
      const chunk = this.#samples.subarray(this.#given, this.#given + step);
      this.#given += chunk.length;
      this.#level = levelOf(chunk);
      sink.onAudio(/** @type {ArrayBuffer} */ (toInt16(chunk).buffer));
    }
    this.#level = 0;
    sink.onEnd("");
  }

  restart() {
    return this.positionS();
  }

  async stop() {
    this.#isStopped = true;
  }

  level() {
    return this.#level;
  }

  positionS() {
    return this.#given / RATE;
  }
}

/** @implements {Source} */
export class ContainerFile {
  form = /** @type {const} */ ("container");
  isLive = false;
  durationS = null;
  #file;
  /** @type {Sink | null} */ #sink = null;
  #run = 0; // which reading of the file is the one that counts

  /** @param {File} file */
  constructor(file) {
    this.#file = file;
  }

  /** @param {Sink} sink */
  start(sink) {
    this.#sink = sink;
  }

  restart() {
    this.#run += 1;
    void this.#read(this.#run);
    return 0; // a container cannot be entered in its middle
  }

  async stop() {
    this.#run += 1;
  }

  level() {
    return 0;
  }

  positionS() {
    return 0;
  }

  /** @param {number} run */
  async #read(run) {
    for (let start = 0; start < this.#file.size; start += CHUNK_BYTES) {
      await this.#sink?.whenWanted();
      if (run !== this.#run) return;
      this.#sink?.onAudio(this.#file.slice(start, start + CHUNK_BYTES));
    }
    this.#sink?.onEnd("");
  }
}

/**
 * @param {AudioBuffer} buffer
 * @returns {Float32Array} Mono.
 */
function mixDown(buffer) {
  const mono = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    for (let index = 0; index < mono.length; index += 1) {
      mono[index] += samples[index] / buffer.numberOfChannels;
    }
  }
  return mono;
}
