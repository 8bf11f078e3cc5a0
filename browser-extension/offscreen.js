// The page that nobody sees: only pages can have sound, and this one lives while a tab is captioned.

import { AddressError, findEndpoints } from "./address.js";
import { listen, tell } from "./messages.js";
import { TabCaptions } from "./tab-captions.js";
import { openTabSound } from "./tab-sound.js";

/** @typedef {import("./messages.js").ToOffscreen} ToOffscreen */

const PAGE_GONE = "The page went away before its captions began.";

/** Of the pages that are there, by tab. @type {Map<number, chrome.runtime.Port>} */
const overlays = new Map();
/** @type {TabCaptions | null} */ let captions = null;
/** Whether the service worker waits for the report of its `stop`. */
let isAskedToStop = false;

chrome.runtime.onConnect.addListener((port) => {
  const tabId = port.sender?.tab?.id;
  if (tabId === undefined) return;
  overlays.set(tabId, port);
  port.onDisconnect.addListener(() => {
    if (overlays.get(tabId) === port) overlays.delete(tabId);
  });
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
  const css = await (await fetch("overlay.css")).text();
  const port = overlays.get(tabId);
  if (!port) return PAGE_GONE;
  port.postMessage({ kind: "looks", css, settings });
  // Pages may be left while the sound is waited for.
  const isThere = () => overlays.get(tabId) === port;
  try {
    const endpoints = findEndpoints(settings.server);
    const sound = await openTabSound(streamId);
    if (!isThere()) {
      await sound.close();
      return PAGE_GONE;
    }
    captions = new TabCaptions({ id, port, sound, endpoints, settings, tabTitle });
  } catch (error) {
    if (!isThere()) return PAGE_GONE;
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
