// Runs in the browser's audio thread: what is heard leaves as 16-bit samples at 16 kHz.

import { Resampler, toInt16 } from "./resample.js";

const CHUNK_SAMPLES = 1600; // 100 ms

class PcmCapture extends AudioWorkletProcessor {
  #resampler = new Resampler(sampleRate);
  #chunk = new Int16Array(CHUNK_SAMPLES);
  #filled = 0;
  #isRunning = true;

  constructor() {
    super();
    // The only message: the end. The last samples leave, then an empty message.
    this.port.onmessage = () => {
      this.#take(this.#resampler.flush());
      if (this.#filled > 0) this.#post(this.#chunk.slice(0, this.#filled));
      this.#post(new Int16Array(0));
      this.#isRunning = false;
    };
  }

  /**
   * @param {Float32Array[][]} inputs One input, mixed down to one channel; none while it is mute.
   * @returns {boolean} Whether there is more to do.
   */
  process([[samples]]) {
    if (samples && this.#isRunning) this.#take(this.#resampler.push(samples));
    return this.#isRunning;
  }

  /** @param {Float32Array} samples */
  #take(samples) {
    for (const sample of toInt16(samples)) {
      this.#chunk[this.#filled] = sample;
      this.#filled += 1;
      if (this.#filled === CHUNK_SAMPLES) {
        this.#post(this.#chunk);
        this.#chunk = new Int16Array(CHUNK_SAMPLES);
        this.#filled = 0;
      }
    }
  }

  /** @param {Int16Array} samples */
  #post(samples) {
    this.port.postMessage(samples.buffer, [samples.buffer]);
  }
}

registerProcessor("pcm-capture", PcmCapture);
