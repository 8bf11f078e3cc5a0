// How loud sound is, for the eye.

const LOUDEST_DB = -6;
const QUIETEST_DB = -60;

/**
 * Decibels, cut off at both ends.
 *
 * @param {Float32Array} samples In [-1, 1].
 * @returns {number} From 0 to 1.
 */
export function levelOf(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
  return Math.max(0, Math.min(1, (db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB)));
}
