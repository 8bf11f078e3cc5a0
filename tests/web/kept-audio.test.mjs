// Samples that may have to be sent again. A second is 32000 bytes.

import assert from "node:assert/strict";
import test from "node:test";

import { KeptAudio } from "../../whisper_streaming/web/kept-audio.js";

const SECOND = 32000;
const sound = (seconds, value = 0) => new Uint8Array(seconds * SECOND).fill(value).buffer;
const bytes = (audio) => audio.chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);

function keeping(limitS, ...seconds) {
  const audio = new KeptAudio(10, limitS);
  seconds.forEach((length, index) => audio.add(sound(length, index)));
  return audio;
}

test("it spans from its start to what was added", () => {
  const audio = keeping(60, 1, 0.5);
  assert.deepEqual([audio.startS, audio.endS, bytes(audio)], [10, 11.5, 1.5 * SECOND]);
});

test("what is heard goes, to the sample", () => {
  const audio = keeping(60, 1, 1);
  audio.dropBefore(11.25);
  assert.deepEqual([audio.startS, audio.endS, bytes(audio)], [11.25, 12, 0.75 * SECOND]);
  assert.equal(new Uint8Array(audio.chunks[0])[0], 1);
  audio.dropBefore(11.250001);
  assert.equal(bytes(audio) % 2, 0);
});

test("a second before the start, and one after the end, are nothing special", () => {
  const audio = keeping(60, 1);
  audio.dropBefore(3);
  assert.deepEqual([audio.startS, audio.endS], [10, 11]);
  audio.dropBefore(12);
  assert.deepEqual([audio.startS, audio.endS, bytes(audio)], [11, 11, 0]);
});

test("beyond the limit the oldest goes and is counted once", () => {
  const audio = keeping(2, 1, 1, 1, 1);
  assert.deepEqual([audio.startS, audio.endS], [12, 14]);
  assert.equal(audio.takeLostS(), 2);
  assert.equal(audio.takeLostS(), 0);
});

test("what was heard is not lost", () => {
  const audio = keeping(60, 1, 1);
  audio.dropBefore(11);
  assert.equal(audio.takeLostS(), 0);
});
