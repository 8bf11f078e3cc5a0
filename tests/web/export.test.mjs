// Files of a transcript, letter by letter.

import assert from "node:assert/strict";
import test from "node:test";

import { FORMATS, fileName, formatTime, toJson, toSrt, toText, toVtt, wrap } from "../../whisper_streaming/web/export.js";

const line = (kind, speaker, start, end, text) => ({
  kind, speaker, text, start, end, language: null, translation: null, isFinal: true,
});
const said = (start, end, text, speaker = 1) => line("speech", speaker, start, end, text);

const ONE_SPEAKER = [
  said(0.5, 1.25, "One."),
  said(1.5, 2, "Two <three> & four."),
  line("silence", 0, 2, 3661.5, ""),
  said(3661.5, 3662.0004, "Five."),
];
const TWO_SPEAKERS = [said(0, 1, "Yes?"), said(1, 2, "No.", 2), said(2, 3, "Why?", 2)];

test("text is paragraphs, one after each pause", () => {
  assert.equal(toText(ONE_SPEAKER), "One. Two <three> & four.\n\nFive.\n");
});

test("text names speakers where there are several", () => {
  assert.equal(toText(TWO_SPEAKERS), "Speaker 1: Yes?\n\nSpeaker 2: No. Why?\n");
});

test("text says what was lost", () => {
  const gap = line("gap", 0, 2, 6.2, "");
  const lost = "[connection lost: 4 s of sound were not transcribed]";
  assert.equal(toText([said(0, 2, "One."), gap, said(6.2, 7, "Two.")]), `One.\n\n${lost}\n\nTwo.\n`);
});

test("SubRip numbers its cues", () => {
  assert.equal(
    toSrt(ONE_SPEAKER),
    "1\n00:00:00,500 --> 00:00:01,250\nOne.\n\n" +
      "2\n00:00:01,500 --> 00:00:02,000\nTwo <three> & four.\n\n" +
      "3\n01:01:01,500 --> 01:01:02,000\nFive.\n",
  );
});

test("subtitles have the translation below the words", () => {
  const lines = [{ ...said(0, 1, "Ja."), translation: "Yes <so>." }, said(1, 2, "Nein.")];
  assert.match(toSrt(lines), /\nJa\.\nYes <so>\.\n\n2\n.*\nNein\.\n$/);
  assert.match(toVtt(lines), /\nJa\.\nYes &lt;so&gt;\.\n\n.*\nNein\.\n$/);
});

test("SubRip names speakers where there are several", () => {
  assert.match(toSrt(TWO_SPEAKERS), /\nSpeaker 2: No\.\n/);
});

test("WebVTT escapes what would be markup, and has voices", () => {
  assert.equal(
    toVtt(ONE_SPEAKER.slice(1, 2)),
    "WEBVTT\n\n00:00:01.500 --> 00:00:02.000\nTwo &lt;three&gt; &amp; four.\n",
  );
  assert.match(toVtt(TWO_SPEAKERS), /--> 00:00:02\.000\n<v Speaker 2>No\.\n/);
});

test("cues neither overlap nor last no time", () => {
  const times = toSrt([said(0, 3, "Long."), said(2, 2, "Short.")]).match(/.* --> .*/g);
  assert.deepEqual(times, ["00:00:00,000 --> 00:00:02,000", "00:00:02,000 --> 00:00:02,200"]);
});

test("JSON has everything, and the words alone", () => {
  const origin = { created: "2026-01-02T03:04:05.000Z", model: "small", language: null, source: "tab" };
  const told = JSON.parse(toJson(ONE_SPEAKER, origin));
  assert.deepEqual(told, { ...origin, text: "One. Two <three> & four. Five.", lines: ONE_SPEAKER });
});

test("nothing said is a file without words", () => {
  assert.deepEqual([toText([]), toSrt([]), toVtt([])], ["", "", "WEBVTT\n"]);
});

test("times are rounded, not cut", () => {
  assert.equal(formatTime(59.9996, ","), "00:01:00,000");
  assert.equal(formatTime(36_000.25, "."), "10:00:00.250");
});

test("long captions become rows of like length", () => {
  assert.equal(wrap("Short enough."), "Short enough.");
  assert.equal(
    wrap("I waited until midnight, but there was no sign of his return."),
    "I waited until midnight, but\nthere was no sign of his return.",
  );
  assert.equal(wrap("Donaudampfschifffahrtsgesellschaftskapitänsmütze sank."),
    "Donaudampfschifffahrtsgesellschaftskapitänsmütze\nsank.");
});

test("file names sort by time", () => {
  assert.equal(fileName(new Date(2026, 0, 2, 3, 4), "srt"), "captions-2026-01-02-0304.srt");
});

test("each format has an extension, a type and a printer", () => {
  for (const [name, { extension, mimeType, print }] of Object.entries(FORMATS)) {
    assert.equal(extension, name);
    assert.match(mimeType, /^\w+\/[\w-]+$/);
    assert.equal(typeof print(ONE_SPEAKER, {}), "string");
  }
});
