// The connection: what is sent when, what is sent again, what is said of it.

import assert from "node:assert/strict";
import test from "node:test";

import { CaptionClient, retryDelayMs } from "../../whisper_streaming/web/client.js";
import { FakeWorld } from "./fake-socket.mjs";

const SECOND = 32000;
const sound = (value, seconds = 1) => new Uint8Array(seconds * SECOND).fill(value).buffer;
const state = (lines, unstable = "", more = {}) => ({
  lines,
  buffer_transcription: unstable,
  remaining_time_transcription: 0,
  ...more,
});
const line = (text, startS, endS) => ({
  speaker: 1,
  text: ` ${text}`,
  start: `0:00:0${startS.toFixed(2)}`,
  end: `0:00:0${endS.toFixed(2)}`,
});

function opened(options = {}) {
  const world = new FakeWorld();
  const connections = [];
  const warnings = [];
  const client = new CaptionClient("ws://host/asr", {
    ...options,
    environment: world.environment,
    onConnection: (connection) => connections.push(connection),
    onWarning: (text) => warnings.push(text),
  });
  client.open();
  const phases = () => connections.map(({ phase }) => phase);
  return { world, client, connections, warnings, phases };
}

const values = (socket) => socket.sent.map((chunk) => new Uint8Array(chunk)[0]);
const texts = (client) => client.captions.lines.map(({ text }) => text);

test("the URL says what is wanted", () => {
  const { world } = opened({ language: "de", mode: "diff" });
  assert.equal(String(world.socket.url), "ws://host/asr?mode=diff&language=de");
});

test("the URL says to which language, if to any", () => {
  const { world } = opened({ targetLanguage: "fr" });
  assert.equal(String(world.socket.url), "ws://host/asr?mode=full&target_language=fr");
  assert.ok(!String(opened({ targetLanguage: "" }).world.socket.url).includes("target"));
});

test("samples may come before the server is ready, and are not lost", () => {
  const { world, client } = opened();
  client.send(sound(1));
  assert.deepEqual(world.socket.sent, []);
  assert.equal(client.bufferedBytes, Infinity);
  world.accept();
  client.send(sound(2));
  assert.deepEqual(values(world.socket), [1, 2]);
  assert.equal(client.bufferedBytes, 0);
});

test("samples may be a view of more than is sent", () => {
  const { world, client } = opened();
  client.send(new Int16Array(sound(7, 3), 16000 * 2, 1600));
  world.accept();
  assert.deepEqual(world.socket.sent.map((chunk) => chunk.byteLength), [3200]);
});

test("captions and warnings are told", () => {
  const { world, client, warnings } = opened();
  world.accept();
  world.tell(state([line("One.", 0, 1)], " Two", { warning: "the input is muted" }));
  assert.deepEqual([texts(client), client.captions.unstable], [["One."], " Two"]);
  assert.deepEqual(warnings, ["the input is muted"]);
});

test("it ends when all was told", async () => {
  const { world, client, phases } = opened();
  world.accept();
  client.send(sound(1));
  const finished = client.finish();
  assert.equal(world.socket.sent.at(-1).byteLength, 0);
  world.tell(state([line("One.", 0, 1)]));
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  await finished;
  assert.deepEqual(phases(), ["connecting", "open", "finishing", "closed"]);
  assert.deepEqual(texts(client), ["One."]);
  assert.equal(world.timers.size, 0);
});

test("after a loss, sound without final words is sent again, and no other", () => {
  const { world, client, connections } = opened();
  world.accept();
  for (const value of [1, 2, 3, 4]) client.send(sound(value));
  world.tell(state([line("One two.", 0.25, 2)], " three"));
  world.drop();
  assert.equal(client.captions.unstable, "");
  client.send(sound(5)); // said while there is no connection
  assert.equal(world.wait(), 500);
  world.accept();
  client.send(sound(6));
  assert.deepEqual(values(world.socket), [3, 4, 5, 6]);
  world.tell(state([line("Three.", 0.5, 1)]));
  assert.deepEqual(
    client.captions.lines.map(({ text, start }) => [text, start]),
    [["One two.", 0.25], ["Three.", 2.5]],
  );
  const [, , waiting, , open] = connections;
  assert.deepEqual([waiting.phase, waiting.retryInS], ["waiting", 0.5]);
  assert.equal(waiting.reason, "The server cannot be reached.");
  assert.deepEqual([open.phase, open.wasLost, open.lostS], ["open", true, 0]);
});

test("of a long silence only the newest is sent again", () => {
  const { world, client } = opened();
  world.accept();
  world.tell(state([]));
  for (let second = 0; second < 40; second += 1) client.send(sound(second));
  world.drop();
  world.wait();
  world.accept();
  assert.equal(values(world.socket)[0], 10);
});

test("sound beyond what is kept is lost, counted, and marked", () => {
  const { world, client, connections } = opened({ keepS: 3 });
  world.accept();
  client.send(sound(1));
  world.tell(state([line("One.", 0, 1)]));
  world.drop();
  for (let second = 1; second <= 5; second += 1) client.send(sound(second));
  world.wait();
  world.accept();
  assert.deepEqual(values(world.socket), [3, 4, 5]);
  assert.equal(connections.at(-1).lostS, 2);
  const { kind, start, end } = client.captions.lines[1];
  assert.deepEqual([kind, start, end], ["gap", 1, 3]);
});

test("each try waits twice as long, up to half a minute, scattered", () => {
  assert.deepEqual([0, 1, 2, 6, 60].map((n) => retryDelayMs(n, 0.5)), [500, 1000, 2000, 30000, 30000]);
  assert.deepEqual([retryDelayMs(1, 0), retryDelayMs(1, 1)], [800, 1200]);
  const { world } = opened();
  world.drop();
  assert.equal(world.wait(), 500);
  world.drop();
  assert.equal(world.wait(), 1000);
});

test("a connection that held for long makes the next wait short again", () => {
  const { world } = opened();
  for (const held of [500, 500, 60_000, 500]) {
    world.accept();
    world.nowMs += held;
    world.drop();
    const [{ ms }] = world.timers.values();
    world.wait();
    assert.equal(ms, { 500: ms, 60_000: 500 }[held]);
  }
});

test("it tries at once when asked to, and only then", () => {
  const { world, client } = opened();
  client.retryNow();
  assert.equal(world.sockets.length, 1);
  world.drop();
  client.retryNow();
  assert.deepEqual([world.sockets.length, world.timers.size], [2, 0]);
});

test("a full server is asked again, and says why", () => {
  const { world, connections } = opened();
  world.tell({ type: "error", error: "the server is full, try again in 90 s" });
  world.drop(1013);
  const { phase, reason } = connections.at(-1);
  assert.deepEqual([phase, reason], ["waiting", "The server is full, try again in 90 s."]);
});

for (const code of [1003, 1007, 1009, 4400, 4401]) {
  test(`after close code ${code} it gives up and says why`, async () => {
    const { world, client, connections } = opened();
    world.tell({ type: "error", error: "no language 'xx'" });
    world.drop(code);
    await client.ended;
    assert.deepEqual(connections.at(-1).phase, "failed");
    assert.equal(connections.at(-1).reason, "No language 'xx'.");
    assert.equal(world.timers.size, 0);
  });
}

test("words that were open when all ended are kept as unconfirmed", () => {
  const { world, client } = opened();
  world.accept();
  world.tell(state([line("One.", 0, 1)], " two"));
  world.drop(1003);
  assert.deepEqual(
    client.captions.lines.map(({ text, isFinal }) => [text, isFinal]),
    [["One.", true], ["two", false]],
  );
});

test("a session that the server ended goes on in another", () => {
  const { world, client, connections } = opened();
  world.accept();
  client.send(sound(1));
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  assert.equal(connections.at(-1).phase, "waiting");
  assert.match(connections.at(-1).reason, /time limit/);
});

test("a long recording that was ended early goes on, and a silent end is asked for once", async () => {
  const { world, client, phases } = opened({ keepS: Infinity });
  world.accept();
  for (let second = 0; second < 90; second += 1) client.send(sound(second));
  const finished = client.finish();
  world.tell(state([line("One.", 0, 1)], "", { remaining_time_transcription: 5 }));
  world.nowMs += 600_000;
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  assert.equal(phases().at(-1), "waiting");
  world.wait();
  world.accept();
  assert.equal(values(world.socket)[0], 1);
  assert.equal(world.socket.sent.at(-1).byteLength, 0);
  world.nowMs += 5000;
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  await finished;
  assert.equal(phases().at(-1), "closed");
});

test("a container that is too long for one session is not begun again and again", async () => {
  const { world, client, connections } = opened({ startContainer: () => 0 });
  world.accept();
  world.tell(state([line("One.", 0, 1)]));
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  world.wait();
  world.accept();
  await client.ended;
  assert.match(connections.at(-1).reason, /time limit.*as samples/);
  assert.deepEqual(texts(client), ["One."]);
});

test("a recorder goes on after the time limit", () => {
  const beginnings = [0, 600];
  const { world, phases } = opened({ startContainer: () => beginnings.shift() });
  world.accept();
  world.tell(state([line("One.", 0, 1)]));
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  world.wait();
  world.accept();
  assert.equal(phases().at(-1), "open");
});

test("the end waits for the connection to come back", async () => {
  const { world, client } = opened();
  world.accept();
  client.send(sound(1));
  world.drop();
  const finished = client.finish();
  world.wait();
  world.accept();
  assert.deepEqual(world.socket.sent.map((chunk) => chunk.byteLength), [SECOND, 0]);
  world.tell({ type: "ready_to_stop" });
  world.drop(1000);
  await finished;
});

test("a message too few begins a new connection", () => {
  const { world, client } = opened({ mode: "diff" });
  world.accept();
  world.tell({ ...state([]), type: "snapshot", seq: 1 });
  world.tell({ ...state([]), type: "diff", seq: 3, n_lines: 0 });
  assert.equal(world.socket.isClosed, true);
  world.drop(4000);
  world.wait();
  assert.equal(world.sockets.length, 2);
  assert.deepEqual(client.captions.lines, []);
});

test("closed, it says nothing more", async () => {
  const { world, client, phases } = opened();
  world.accept();
  client.close();
  await client.ended;
  world.tell(state([line("Late.", 0, 1)]));
  world.drop(1000);
  assert.deepEqual([phases().at(-1), texts(client)], ["closed", []]);
  assert.deepEqual([world.socket.isClosed, world.timers.size], [true, 0]);
});

test("a container begins anew with each connection, and what it missed is told", () => {
  const beginnings = [0, 7];
  const { world, client, connections } = opened({ startContainer: () => beginnings.shift() });
  client.send(new Blob(["too early"]));
  world.accept();
  client.send(new Blob(["first"]));
  world.tell(state([line("One.", 0, 1)], " two"));
  world.drop();
  client.send(new Blob(["between"]));
  world.nowMs += 2500;
  world.wait();
  world.accept();
  assert.deepEqual(world.sockets.map(({ sent }) => sent.length), [1, 0]);
  assert.equal(connections.at(-1).lostS, 3);
  assert.deepEqual(
    client.captions.lines.map(({ kind, text, start, isFinal }) => [kind, text, start, isFinal]),
    [["speech", "One.", 0, true], ["speech", "two", 1, false], ["gap", "", 4, true]],
  );
});

test("a container that is over cannot be sent again: it ends and says so", async () => {
  const { world, client, connections } = opened({ startContainer: () => 0 });
  world.accept();
  client.send(new Blob(["all"]));
  const finished = client.finish();
  world.drop();
  await finished;
  assert.equal(connections.at(-1).phase, "failed");
  assert.match(connections.at(-1).reason, /before the last words/);
});
