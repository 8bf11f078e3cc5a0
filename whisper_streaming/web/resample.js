// Sound of any rate to 16 kHz, chunk by chunk, in an audio worklet or anywhere else.

const ZERO_CROSSINGS = 16; // on each side of the kernel
const PHASES = 256; // of the table between two input samples; the rest is interpolated
const PASS_BAND = 0.92; // of the lower Nyquist frequency; the rest is for the filter's slope

/** Band-limited interpolation by a windowed sinc; mono, of one stream. */
export class Resampler {
  #step; // input samples for one output sample
  #reach; // input samples on each side that an output sample is made of
  #table;
  #pending;
  #position; // of the next output sample in the pending ones

  /**
   * @param {number} fromRate
   * @param {number} toRate
   */
  constructor(fromRate, toRate = 16000) {
    this.#step = fromRate / toRate;
    const cutoff = this.#step === 1 ? 1 : PASS_BAND * Math.min(1, toRate / fromRate);
    this.#reach = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.#table = makeTable(this.#reach, cutoff);
    // As if there had been silence before.
    this.#pending = new Float32Array(this.#reach);
    this.#position = this.#reach;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} What they complete.
   */
  push(samples) {
    const input = new Float32Array(this.#pending.length + samples.length);
    input.set(this.#pending);
    input.set(samples, this.#pending.length);
    const last = input.length - this.#reach - 1;
    const count = Math.max(0, Math.floor((last - this.#position) / this.#step) + 1);
    const output = new Float32Array(count);
    for (let index = 0; index < count; index += 1) {
      output[index] = this.#interpolate(input, this.#position + index * this.#step);
    }
    const nextPosition = this.#position + count * this.#step;
    const used = Math.floor(nextPosition) - this.#reach;
    this.#pending = input.slice(used);
    this.#position = nextPosition - used;
    return output;
  }

  /** @returns {Float32Array} The end of the stream, which waited for samples after it. */
  flush() {
    return this.push(new Float32Array(this.#reach + 1));
  }

  /**
   * @param {Float32Array} input
   * @param {number} position
   */
  #interpolate(input, position) {
    const first = Math.floor(position) - this.#reach + 1;
    let sum = 0;
    for (let index = first; index < first + 2 * this.#reach; index += 1) {
      const place = Math.abs(position - index) * PHASES;
      const below = Math.floor(place);
      const fraction = place - below;
      const weight = this.#table[below] * (1 - fraction) + this.#table[below + 1] * fraction;
      sum += input[index] * weight;
    }
    return sum;
  }
}

/**
 * One half of the kernel, which is even: a sinc in a Hann window.
 *
 * @param {number} reach
 * @param {number} cutoff Of the input's Nyquist frequency.
 */
function makeTable(reach, cutoff) {
  const table = new Float32Array(reach * PHASES + 2);
  for (let index = 0; index < reach * PHASES; index += 1) {
    const distance = index / PHASES;
    const angle = Math.PI * distance * cutoff;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    table[index] = cutoff * sinc * (0.5 + 0.5 * Math.cos((Math.PI * distance) / reach));
  }
  return table;
}

/**
 * @param {Float32Array} samples In [-1, 1]; what is beyond is clipped.
 * @returns {Int16Array}
 */
export function toInt16(samples) {
  return Int16Array.from(samples, (sample) =>
    Math.round(Math.max(-1, Math.min(1, sample)) * 32767),
  );
}
