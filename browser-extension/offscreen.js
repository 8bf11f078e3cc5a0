// The page that nobody sees: only pages can have sound, and this one lives while a tab is captioned.

import { AddressError, findEndpoints } from "./address.js";
import { listen, tell } from "./messages.js";
import { TabCaptions } from "./tab-captions.js";
import { openTabSound } from "./tab-sound.js";

/** @typedef {import("./messages.js").ToOffscreen} ToOffscreen */

/** Overlays that have no captions yet, by tab. @type {Map<number, chrome.runtime.Port>} */
const waiting = new Map();
/** @type {TabCaptions | null} */ let captions = null;
/** Whether the service worker waits for the report of its `stop`. */
let isAskedToStop = false;

chrome.runtime.onConnect.addListener((port) => {
  const tabId = port.sender?.tab?.id;
  if (tabId !== undefined) waiting.set(tabId, port);
});

listen("offscreen", async (/** @type {ToOffscreen} */ message) => {
  switch (message.kind) {
    case "start":
      return start(message);
    case "stop":
      isAskedToStop = captions !== null;
      return captions?.stop();
    case "recording":
      return captions?.recording;
  }
});

addEventListener("online", () => captions?.retryNow());

/**
 * @param {Extract<ToOffscreen, {kind: "start"}>} message
 * @returns {Promise<string>} What went wrong.
 */
async function start({ id, tabId, tabTitle, streamId, settings }) {
  const port = waiting.get(tabId);
  if (!port) return "The page went away before its captions began.";
  const css = await (await fetch("overlay.css")).text();
  port.postMessage({ kind: "looks", css, settings });
  try {
    const endpoints = findEndpoints(settings.server);
    const sound = await openTabSound(streamId);
    captions = new TabCaptions({ id, port, sound, endpoints, settings, tabTitle });
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    const text = error instanceof AddressError ? message : `There is no sound: ${message}.`;
    port.postMessage({ kind: "notice", text, isLast: true });
    return text;
  }
  void captions.ended.then((report) => {
    if (!isAskedToStop) void tell({ to: "background", kind: "ended", id, report });
  });
  return "";
}
