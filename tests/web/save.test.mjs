// How a screen is kept on. A browser grants its lock when it likes to.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { WakeLock } from "../../whisper_streaming/web/save.js";

let grants;
let held;

function grant() {
  held += 1;
  grants.shift()({ release: async () => void (held -= 1) });
}

beforeEach(() => {
  grants = [];
  held = 0;
  const request = () => new Promise((resolve) => grants.push(resolve));
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  Object.defineProperty(globalThis, "navigator", { value: { wakeLock: { request } }, configurable: true });
});

test("the screen stays on for as long as that is wanted", async () => {
  const lock = new WakeLock();
  const wanted = lock.want(true);
  grant();
  await wanted;
  assert.equal(held, 1);
  await lock.want(false);
  assert.deepEqual([held, grants.length], [0, 0]);
});

test("a lock that comes too late is given back", async () => {
  const lock = new WakeLock();
  const wanted = lock.want(true);
  await lock.want(false);
  grant();
  await wanted;
  assert.equal(held, 0);
});
