// The parts of the operator's page that need no page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { endOfScale, namesOfLimits, pathOf, piecesOf } from "../../whisper_streaming/web/status-chart.js";
import { History, KEPT_S } from "../../whisper_streaming/web/status-history.js";
import { rowsOfNumbers, rowsOfSessions } from "../../whisper_streaming/web/status-tables.js";
import {
  formatAgo,
  formatDuration,
  formatMark,
  formatValue,
  protocolOf,
} from "../../whisper_streaming/web/status-text.js";

const SCHEDULER = { started: 0, queue_wait_s: 0, batches: 0, requests: 0, decode_s: 0 };

function status({ scheduler = {}, ...others } = {}) {
  return {
    started_at: "2026-11-21T09:30:00.250+00:00",
    uptime_s: 0,
    current_clients: 0,
    busy_clients: 0,
    admitted_clients: 0,
    refused_clients: 0,
    workers: 2,
    sessions: [],
    final_words: { p50_s: null, p95_s: null },
    scheduler: { ...SCHEDULER, ...scheduler },
    event_loop: { stall_recent_s: 0.004 },
    process: { cpu_s: 0, cores: 4, memory_mb: 300 },
    ...others,
  };
}

const sessions = (...lags) => lags.map((lag_s) => ({ lag_s }));

test("the first state has what needs no state before it", () => {
  const history = new History();
  history.add(100, status({ current_clients: 3, busy_clients: 2, sessions: sessions(0.5, 0.1, 2) }));

  assert.deepEqual(history.samples, [
    {
      atS: 100,
      values: {
        sessions: 3,
        speaking: 2,
        lagWorst: 2,
        lagMedian: 0.5,
        latencyMedian: null,
        latencyLate: null,
        queueWait: null,
        decode: null,
        batch: null,
        decoders: null,
        processor: null,
        stall: 0.004,
        memory: 300,
        admitted: 0,
        refused: 0,
      },
    },
  ]);
});

test("loads and waits are means over the time between states", () => {
  const history = new History();
  history.add(0, status({ uptime_s: 50, process: { cpu_s: 10, cores: 4, memory_mb: null } }));
  history.add(
    4,
    status({
      uptime_s: 54,
      scheduler: { started: 8, queue_wait_s: 0.4, batches: 4, requests: 8, decode_s: 2 },
      process: { cpu_s: 12, cores: 4, memory_mb: null },
    }),
  );

  const { values } = history.samples[1];
  assert.equal(values.queueWait, 0.05); // 0.4 s of 8 requests
  assert.equal(values.decode, 0.5); // 2 s in 4 calls
  assert.equal(values.batch, 2); // 8 windows in them
  assert.equal(values.decoders, 0.25); // 2 s of 4 s on each of 2 workers
  assert.equal(values.processor, 0.125); // 2 s of 4 s on each of 4 cores
  assert.equal(values.memory, null);
});

test("means go back ten seconds, counts of clients a minute", () => {
  const history = new History();
  const grown = (s) => status({ uptime_s: s, admitted_clients: s, scheduler: { decode_s: s ** 2 / 100 } });
  for (let s = 0; s <= 70; s += 2) history.add(s, grown(s));

  const { values } = history.samples.at(-1);
  assert.equal(values.decoders.toFixed(6), ((70 ** 2 - 60 ** 2) / 100 / 20).toFixed(6));
  assert.equal(values.admitted, 60);
});

test("a decode that ends counts at once, and no load is above all of it", () => {
  const history = new History();
  history.add(0, status({ uptime_s: 10 }));
  history.add(2, status({ uptime_s: 12, scheduler: { batches: 1, decode_s: 9 } }));

  assert.equal(history.samples[1].values.decoders, 1);
});

test("a server that was started again counts from nothing", () => {
  const history = new History();
  history.add(0, status({ uptime_s: 5, admitted_clients: 40, scheduler: { decode_s: 2 } }));
  // Between two answers it ran for longer than before: this page had slept.
  const started_at = "2026-11-21T09:30:10.500+00:00";
  history.add(30, status({ started_at, uptime_s: 20, admitted_clients: 1, scheduler: { decode_s: 9 } }));

  assert.equal(history.samples[1].values.decoders, null);
  assert.equal(history.samples[1].values.admitted, 0);
});

test("ten minutes are kept, and the time axis grows to them", () => {
  const history = new History();
  const spans = new Set();
  for (let s = 0; s <= 900; s += 2) {
    history.add(s, status({ uptime_s: s }));
    spans.add(history.spanS);
  }

  assert.deepEqual([...spans], [120, 300, KEPT_S]);
  assert.equal(history.samples[0].atS, 900 - KEPT_S);
});

test("what was at a time is the newest sample before it", () => {
  const history = new History();
  history.add(10, status());
  history.add(12, status());

  assert.equal(history.at(9), null);
  assert.equal(history.at(11.9)?.atS, 10);
  assert.equal(history.at(99)?.atS, 12);
});

test("a summary leaves out what was not known", () => {
  const history = new History();
  history.add(0, status({ current_clients: 9 }));
  history.addGap(50);
  history.add(70, status({ current_clients: 1 }));
  history.add(72, status({ current_clients: 2 }));

  assert.deepEqual(history.summary("sessions"), { minute: 1.5, mean: 4, most: 9 });
  assert.deepEqual(history.summary("latencyMedian"), { minute: null, mean: null, most: null });
});

for (const [most, least, end] of [
  [0, 4, 4],
  [4, 4, 4],
  [4.1, 4, 5],
  [0.0201, 0.02, 0.04],
  [0.3, 0.2, 0.4],
  [1, 0.2, 1],
  [364, 100, 400],
  [5001, 100, 10_000],
]) {
  test(`a scale for ${most}, at least to ${least}, ends at ${end}`, () => {
    assert.ok(Math.abs(endOfScale(most, least) - end) < 1e-9, String(endOfScale(most, least)));
  });
}

test("a line breaks where nothing is known and where nobody asked", () => {
  const at = (atS, lag) => ({ atS, values: { lag } });
  const samples = [at(0, 1), at(2, 2), at(4, null), at(6, 3), at(8, undefined), at(30, 4), at(40, 5)];

  const pieces = piecesOf(samples, "lag").map((piece) => piece.map(({ value }) => value));

  assert.deepEqual(pieces, [[1, 2], [3], [4], [5]]);
});

test("limits that are too close for two names share one", () => {
  const yOf = (value) => 200 - 10 * value;
  const places = { name: "places", value: 4 };

  assert.deepEqual(namesOfLimits([places, { name: "carried", value: 4 }], yOf), [
    { text: "places 4, carried 4", y: 160 },
  ]);
  assert.deepEqual(namesOfLimits([places, { name: "carried", value: 5 }], yOf), [
    { text: "places 4, carried 5", y: 150 },
  ]);
  assert.deepEqual(namesOfLimits([places, { name: "carried", value: 8 }], yOf), [
    { text: "places 4", y: 160 },
    { text: "carried 8", y: 120 },
  ]);
});

test("a path goes through its points, and one point alone is seen", () => {
  assert.equal(pathOf([{ x: 1, y: 2 }, { x: 3.25, y: 4 }]), "M1.0 2.0L3.3 4.0");
  assert.equal(pathOf([{ x: 1, y: 2 }]), "M1.0 2.0L2.0 2.0");
});

for (const [unit, value, text] of [
  ["count", 1234, "1,234"],
  ["count", 0, "0"],
  ["mean", 2, "2.0"],
  ["seconds", 0, "0.00 s"],
  ["seconds", 0.456, "0.46 s"],
  ["seconds", 12.34, "12.3 s"],
  ["milliseconds", 0.0456, "46 ms"],
  ["milliseconds", 1.5, "1.50 s"],
  ["share", 0.256, "26 %"],
  ["megabytes", 364.4, "364 MB"],
  ["megabytes", 1536, "1.50 GB"],
  ["seconds", null, "–"],
  ["seconds", undefined, "–"],
]) {
  test(`${value} as ${unit} is ${text}`, () => assert.equal(formatValue(unit, value), text));
}

for (const [unit, value, text] of [
  ["count", 4, "4"],
  ["seconds", 0.5, "0.5 s"],
  ["milliseconds", 0.0025, "2.5 ms"],
  ["milliseconds", 2, "2 s"],
  ["share", 0.5, "50 %"],
  ["megabytes", 5000, "5,000 MB"],
]) {
  test(`the mark of ${value} as ${unit} is ${text}`, () => assert.equal(formatMark(unit, value), text));
}

test("durations are in the two largest units", () => {
  const texts = [0.9, 59, 60, 3599, 3600, 86_399, 86_400, 200_000].map(formatDuration);

  assert.deepEqual(texts, [
    "0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "23 h 59 min", "1 day 0 h", "2 days 7 h",
  ]);
  assert.deepEqual([0, 75].map(formatAgo), ["now", "1 min 15 s ago"]);
});

test("a protocol is told by its path, and nothing else of the path is", () => {
  const told = ["/asr 1.2.3.4:5", "/asr/ 1.2.3.4:5", "/stream ::1:5", "/ 1.2.3.4:5", "/room/ann ::1:5"];

  assert.deepEqual(told.map(protocolOf), [
    "WhisperLiveKit", "WhisperLiveKit", "Text", "WhisperLive", "WhisperLive",
  ]);
  assert.equal(protocolOf(undefined), "–");
});

test("a session is shown without its path and address", () => {
  const row = {
    session: 7, client: "/room/ann 10.0.0.9:5555", model: "small", is_busy: true, lag_s: 0.25,
    audio_s: 61, decodes: 40, commits: 1234, age_s: 62, time_left_s: 538,
  };
  const young = { session: 8, is_busy: false, age_s: 0, time_left_s: 600 };

  assert.deepEqual(rowsOfSessions(status({ sessions: [row, young] })), [
    ["7", "speaks", "0.25 s", "WhisperLive", "small", "1 min 1 s", "40", "1,234", "1 min 2 s", "8 min 58 s"],
    ["8", "silent", "–", "–", "–", "–", "–", "–", "0 s", "10 min 0 s"],
  ]);
});

test("the numbers of the charts are those of the time that is looked at", () => {
  const history = new History();
  history.add(10, status({ current_clients: 4 }));
  history.add(12, status({ current_clients: 1 }));

  const [connected] = rowsOfNumbers(history, 11);
  assert.deepEqual(connected, ["Sessions: connected", "4", "2.5", "2.5", "4"]);
  assert.deepEqual(rowsOfNumbers(history, 12)[0].slice(0, 2), ["Sessions: connected", "1"]);
  assert.deepEqual(rowsOfNumbers(history, 9)[0].slice(0, 2), ["Sessions: connected", "–"]);
  assert.equal(rowsOfNumbers(history, 12).length, 15); // a row for each line of each chart
});
