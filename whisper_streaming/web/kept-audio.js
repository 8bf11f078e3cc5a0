// Samples that may have to be sent again, when a connection breaks before their words are final.

const BYTES_PER_SECOND = 16000 * 2;

/** 16-bit samples at 16 kHz, from a second on the clock of the recording to now. */
export class KeptAudio {
  /** @type {ArrayBuffer[]} */ #chunks = [];
  #startS;
  #bytes = 0;
  #limitS;
  #lostS = 0;

  /**
   * @param {number} startS Where the first sample is.
   * @param {number} limitS More than this is not kept: the oldest goes first.
   */
  constructor(startS, limitS) {
    this.#startS = startS;
    this.#limitS = limitS;
  }

  /** Where the oldest kept sample is, in seconds. */
  get startS() {
    return this.#startS;
  }

  /** Where the next sample will be, in seconds. */
  get endS() {
    return this.#startS + this.#bytes / BYTES_PER_SECOND;
  }

  /** @returns {readonly ArrayBuffer[]} */
  get chunks() {
    return this.#chunks;
  }

  /** @param {ArrayBuffer} samples */
  add(samples) {
    this.#chunks.push(samples);
    this.#count(samples.byteLength);
    while (this.#bytes > this.#limitS * BYTES_PER_SECOND && this.#chunks.length > 1) {
      this.#lostS += this.#dropOldest();
    }
  }

  /**
   * What is heard needs no keeping. It is cut at the sample: a word must not be heard twice.
   *
   * @param {number} secondS
   */
  dropBefore(secondS) {
    let surplus = 2 * Math.round(((secondS - this.#startS) * BYTES_PER_SECOND) / 2);
    while (this.#chunks.length > 0 && surplus >= this.#chunks[0].byteLength) {
      surplus -= this.#chunks[0].byteLength;
      this.#dropOldest();
    }
    if (this.#chunks.length > 0 && surplus > 0) {
      this.#chunks[0] = this.#chunks[0].slice(surplus);
      this.#count(-surplus);
    }
  }

  /** Seconds that were dropped for want of room since this was asked last. */
  takeLostS() {
    const lostS = this.#lostS;
    this.#lostS = 0;
    return lostS;
  }

  /** @returns {number} The seconds that went. */
  #dropOldest() {
    const bytes = /** @type {ArrayBuffer} */ (this.#chunks.shift()).byteLength;
    this.#count(-bytes);
    return bytes / BYTES_PER_SECOND;
  }

  /** @param {number} bytes Less than none: dropped at the front. */
  #count(bytes) {
    this.#bytes += bytes;
    if (bytes < 0) this.#startS -= bytes / BYTES_PER_SECOND;
  }
}
