// What the messages of /asr add up to.

import assert from "node:assert/strict";
import test from "node:test";

import { OutOfStep, Transcript, isComplete, parseTime } from "../../whisper_streaming/web/transcript.js";

const line = (text, start, end, more = {}) => ({ speaker: 1, text, start, end, ...more });
const state = (lines, unstable = "", lag = 0) => ({
  status: "active_transcription",
  lines,
  buffer_transcription: unstable,
  buffer_diarization: "",
  remaining_time_transcription: lag,
});
const diff = (seq, count, more) => ({ ...state([], "", 0), type: "diff", seq, n_lines: count, ...more });
const texts = (transcript) => transcript.lines.map(({ text }) => text);

const ONE = line(" One.", "0:00:00.10", "0:00:01.00");
const TWO = line(" Two.", "0:00:01.20", "0:00:02.00");
const THREE = line(" Three", "0:00:02.50", "0:00:03.25");

function reading(...messages) {
  const transcript = new Transcript();
  transcript.begin(0);
  for (const message of messages) transcript.read(message);
  return transcript;
}

test("a time is in seconds, with or without hundredths", () => {
  assert.equal(parseTime("0:00:03.40"), 3.4);
  assert.equal(parseTime("1:02:03"), 3723);
});

test("a line is told with everything that is known of it", () => {
  const told = line(" Hola.", "0:00:03.40", "0:01:00.05", {
    speaker: 2,
    detected_language: "es",
    translation: "Hello.",
  });
  assert.deepEqual(reading(state([told])).lines, [
    {
      kind: "speech",
      speaker: 2,
      text: "Hola.",
      start: 3.4,
      end: 60.05,
      language: "es",
      translation: "Hello.",
      isFinal: true,
    },
  ]);
});

test("the translation of open words is told until the final one comes", () => {
  const transcript = reading({ ...state([ONE], " zwei"), buffer_translation: "two" });
  assert.equal(transcript.captions.translation, "two");
  transcript.read(state([ONE, { ...TWO, translation: "Two." }]));
  assert.equal(transcript.captions.translation, "");
  assert.equal(transcript.lines[1].translation, "Two.");
});

test("a translation that comes later is shown in both modes", () => {
  const late = { ...ONE, translation: "Uno." };
  const diff = { type: "diff", seq: 2, n_lines: 2, lines_pruned: 2, new_lines: [late, TWO] };
  const told = [
    reading(state([ONE, TWO]), state([late, TWO])),
    reading({ type: "snapshot", seq: 1, ...state([ONE, TWO]) }, diff),
  ];
  for (const { lines } of told) {
    assert.deepEqual(lines.map(({ translation }) => translation), ["Uno.", null]);
  }
});

test("a silence is nobody's, whatever its text", () => {
  const pause = { speaker: -2, text: null, start: "0:00:01.00", end: "0:00:09.00" };
  const [told] = reading(state([pause])).lines;
  assert.deepEqual([told.kind, told.speaker, told.text], ["silence", 0, ""]);
});

test("open words continue a line that ends within a sentence", () => {
  const { unstable, continuesLine, lagS } = reading(state([ONE, THREE], " four", 0.7)).captions;
  assert.deepEqual([unstable, continuesLine, lagS], [" four", true, 0.7]);
});

test("open words after a sentence, and in diffs, are a line of their own", () => {
  assert.equal(reading(state([ONE], " Two")).captions.continuesLine, false);
  const snapshot = { ...state([THREE], " four"), type: "snapshot", seq: 1 };
  assert.equal(reading(snapshot).captions.continuesLine, false);
  assert.equal(reading(state([], " One")).captions.continuesLine, false);
});

test("a sentence ends with its mark, also before a quotation mark", () => {
  const ends = (text) => isComplete({ kind: "speech", text });
  assert.deepEqual(["No", "No,", "No.", "No?", "“No!”", "(No.)", "没有。"].map(ends), [
    false, false, true, true, true, true, true,
  ]);
});

test("lines that the server lists no more are kept", () => {
  const transcript = reading(state([ONE, TWO]), state([TWO, THREE]));
  assert.deepEqual(texts(transcript), ["One.", "Two.", "Three"]);
});

test("a line that grows is replaced, also when it is cut in two", () => {
  const grown = line(" Three four", "0:00:02.50", "0:00:04.00");
  const rest = line(" four.", "0:00:03.50", "0:00:04.50");
  const transcript = reading(state([ONE, THREE]), state([ONE, grown]));
  assert.deepEqual(texts(transcript), ["One.", "Three four"]);
  transcript.read(state([ONE, THREE, rest]));
  assert.deepEqual(texts(transcript), ["One.", "Three", "four."]);
});

test("diffs drop from the front and append; nothing shown goes", () => {
  const transcript = reading(
    { ...state([ONE]), type: "snapshot", seq: 1 },
    diff(2, 1, { lines_pruned: 1, new_lines: [TWO] }),
    diff(3, 2, { new_lines: [THREE], buffer_transcription: " four" }),
  );
  assert.deepEqual(texts(transcript), ["One.", "Two.", "Three"]);
  assert.equal(transcript.captions.unstable, " four");
});

test("a diff that sends all anew doubles nothing", () => {
  const transcript = reading(
    { ...state([ONE, TWO]), type: "snapshot", seq: 1 },
    diff(2, 3, { lines_pruned: 2, new_lines: [ONE, TWO, THREE] }),
  );
  assert.deepEqual(texts(transcript), ["One.", "Two.", "Three"]);
});

test("a diff after one that is missing is an error", () => {
  const transcript = reading({ ...state([ONE]), type: "snapshot", seq: 1 });
  assert.throws(() => transcript.read(diff(3, 1, {})), OutOfStep);
  assert.throws(() => transcript.read(diff(2, 5, {})), OutOfStep);
});

test("the next connection goes on where the first ended", () => {
  const transcript = reading(state([ONE, TWO]));
  transcript.begin(2);
  transcript.read(state([line(" Later.", "0:00:00.30", "0:00:01.10")]));
  assert.deepEqual(
    transcript.lines.map(({ text, start, end }) => [text, start, end]),
    [["One.", 0.1, 1], ["Two.", 1.2, 2], ["Later.", 2.3, 3.1]],
  );
});

test("what is heard again is dropped before", () => {
  const transcript = reading(state([ONE, TWO]));
  transcript.begin(0);
  assert.deepEqual(transcript.lines, []);
});

test("open words are kept as unconfirmed where their sound is gone", () => {
  const broken = (keeps) => {
    const transcript = reading(state([ONE], " Two three", 1.5));
    transcript.breakOff(keeps);
    return transcript;
  };
  assert.deepEqual(texts(broken(false)), ["One."]);
  const { text, start, end, isFinal } = broken(true).lines[1];
  assert.deepEqual([text, start, end, isFinal], ["Two three", 1, 2.5, false]);
  assert.equal(broken(true).captions.unstable, "");
});

test("a gap stands between what was before and after", () => {
  const transcript = reading(state([ONE]));
  transcript.begin(9);
  transcript.addGap(4, 9);
  transcript.read(state([line(" Later.", "0:00:00.00", "0:00:01.00")]));
  assert.deepEqual(
    transcript.lines.map(({ kind, start, end }) => [kind, start, end]),
    [["speech", 0.1, 1], ["gap", 4, 9], ["speech", 9, 10]],
  );
});

test("all is settled when no word is open and no speech waits", () => {
  assert.equal(reading(state([ONE])).isSettled, true);
  assert.equal(reading(state([ONE], " Two")).isSettled, false);
  assert.equal(reading(state([ONE], "", 0.5)).isSettled, false);
});

test("cleared, it begins again", () => {
  const transcript = reading(state([ONE], " Two"));
  transcript.clear();
  assert.deepEqual(transcript.captions, {
    lines: [], unstable: "", continuesLine: false, translation: "", lagS: 0,
  });
  transcript.begin(0);
  transcript.read(state([ONE]));
  assert.deepEqual(texts(transcript), ["One."]);
});
