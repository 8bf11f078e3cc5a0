// What the rows of the page show, and what is read aloud.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { Announcer, formatClock, rowsOf } from "../../whisper_streaming/web/captions.js";

const said = (text, start, speaker = 1, more = {}) => ({
  kind: "speech", speaker, text, start, end: start + 1, language: null, translation: null,
  isFinal: true, ...more,
});
const captions = (lines, unstable = "", continuesLine = false) => ({
  lines, unstable, continuesLine, lagS: 0,
});

test("open words stand in the line that they continue, as they are joined", () => {
  const rows = rowsOf(captions([said("One two", 0)], " three ", true));
  assert.deepEqual(rows.map(({ final, unstable }) => [final, unstable]), [["One two", " three"]]);
  assert.equal(rowsOf(captions([said("One", 0)], "'s ", true))[0].unstable, "'s");
});

test("open words else are a row of their own, after the last one", () => {
  const rows = rowsOf(captions([said("One.", 4, 2)], " Two"));
  const { final, unstable, startS, speaker } = rows[1];
  assert.deepEqual([final, unstable, startS, speaker], ["", "Two", 5, 2]);
  assert.equal(rowsOf(captions([], " One"))[0].startS, 0);
});

test("a translation stands below its line, an open one below the newest words", () => {
  const lines = [said("Ja.", 0, 1, { translation: "Yes." }), said("Nein.", 1)];
  const rows = rowsOf({ ...captions(lines, " Ich"), translation: "No. I" });
  assert.deepEqual(rows.map(({ translation }) => translation), ["Yes.", null, "No. I"]);
  const [final] = rowsOf({ ...captions(lines.slice(0, 1)), translation: "No. I" });
  assert.equal(final.translation, "Yes.");
  assert.deepEqual(rowsOf({ ...captions([]), translation: "nothing is said" }), []);
});

test("speakers are named where they change, if there are several", () => {
  const names = (...speakers) =>
    rowsOf(captions(speakers.map((speaker, index) => said("x", index, speaker)))).map(
      ({ namesSpeaker }) => namesSpeaker,
    );
  assert.deepEqual(names(1, 1), [false, false]);
  assert.deepEqual(names(1, 1, 2, 1), [true, false, true, true]);
});

test("silences and gaps are told in words", () => {
  const pause = { ...said("", 1, 0), kind: "silence", end: 7.2 };
  const gap = { ...said("", 8, 0), kind: "gap", end: 8.2 };
  assert.deepEqual(rowsOf(captions([pause, gap])).map(({ kind, final }) => [kind, final]), [
    ["silence", "6 s pause"],
    ["gap", "connection lost: 1 s of sound were not transcribed"],
  ]);
});

test("words that were never confirmed are marked", () => {
  const [row] = rowsOf(captions([said("Maybe", 0, 1, { isFinal: false })]));
  assert.equal(row.isConfirmed, false);
});

test("the clock has hours where there are any", () => {
  assert.deepEqual([0, 59.9, 61, 3600 + 61].map(formatClock), ["0:00", "0:59", "1:01", "1:01:01"]);
});

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

test("complete lines are read, together and not too often", () => {
  const region = { textContent: "" };
  const announcer = new Announcer(region);
  announcer.show(captions([said("One", 0)], " two", true));
  assert.equal(region.textContent, "");
  announcer.show(captions([said("One two.", 0)]));
  assert.equal(region.textContent, "One two.");
  announcer.show(captions([said("One two.", 0), said("Three.", 1)]));
  announcer.show(captions([said("One two.", 0), said("Three.", 1), said("Four.", 2), said("Five", 3)]));
  assert.equal(region.textContent, "One two.");
  mock.timers.tick(4000);
  assert.equal(region.textContent, "Three. Four.");
});

test("switched off, nothing is read; switched on again, only what is new", () => {
  const region = { textContent: "" };
  const announcer = new Announcer(region);
  announcer.isOn = false;
  announcer.show(captions([said("One.", 0)]));
  announcer.isOn = true;
  announcer.show(captions([said("One.", 0), said("Two.", 1)]));
  assert.equal(region.textContent, "Two.");
});
