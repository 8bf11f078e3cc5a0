// Sound of any rate to 16 kHz.

import assert from "node:assert/strict";
import test from "node:test";

import { levelOf } from "../../whisper_streaming/web/level.js";
import { Resampler, toInt16 } from "../../whisper_streaming/web/resample.js";

const CHUNK = 128; // what browsers give

function tone(frequency, rate, seconds) {
  return Float32Array.from({ length: rate * seconds }, (_, index) =>
    Math.sin((2 * Math.PI * frequency * index) / rate),
  );
}

function resample(samples, rate, chunk = CHUNK) {
  const resampler = new Resampler(rate);
  const output = [];
  for (let start = 0; start < samples.length; start += chunk) {
    output.push(...resampler.push(samples.subarray(start, start + chunk)));
  }
  output.push(...resampler.flush());
  return Float32Array.from(output);
}

const energy = (samples) => samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length;
/** Without what the filter makes of the sudden beginning and end. */
const inner = (samples) => samples.subarray(800, 15200);

for (const rate of [8000, 16000, 22050, 44100, 48000, 96000]) {
  test(`a tone at ${rate} Hz is the same tone at 16000 Hz`, () => {
    const output = resample(tone(1000, rate, 1), rate);
    assert.ok(Math.abs(output.length - 16000) <= 2, `${output.length} samples`);
    const expected = inner(tone(1000, 16000, 1));
    const difference = inner(output).map((sample, index) => sample - expected[index]);
    assert.ok(energy(difference) < 1e-5, `error ${energy(difference)}`);
  });
}

test("speech up to 6.5 kHz stays, what would be folded into it goes", () => {
  assert.ok(Math.abs(energy(inner(resample(tone(6500, 48000, 1), 48000))) - 0.5) < 0.02);
  for (const frequency of [9000, 12000, 15900, 20000]) {
    const rest = energy(inner(resample(tone(frequency, 48000, 1), 48000)));
    assert.ok(rest < 1e-5, `${frequency} Hz leaves ${rest}`);
  }
});

test("it makes no difference how the sound is cut", () => {
  const samples = tone(440, 44100, 0.25);
  const whole = resample(samples, 44100, samples.length);
  for (const chunk of [1, 7, 1000]) {
    const cut = resample(samples, 44100, chunk);
    assert.ok(Math.abs(cut.length - whole.length) <= 1);
    const difference = cut.subarray(0, 3999).map((sample, at) => Math.abs(sample - whole[at]));
    assert.ok(Math.max(...difference) < 1e-6);
  }
});

test("samples are rounded, and clipped instead of wrapped around", () => {
  assert.deepEqual([...toInt16(Float32Array.of(0, 0.5, 1, -1, 1.5, -7))], [
    0, 16384, 32767, -32767, 32767, -32767,
  ]);
});

test("the level goes from silence to full", () => {
  assert.equal(levelOf(new Float32Array(100)), 0);
  assert.equal(levelOf(new Float32Array(0)), 0);
  assert.equal(levelOf(new Float32Array(100).fill(1)), 1);
  const speech = levelOf(new Float32Array(100).fill(0.1));
  assert.ok(Math.abs(speech - 40 / 54) < 1e-6, `${speech}`);
});
