// The sound of a tab: taken, and played on, because taking it makes the tab silent.

import { openStream } from "./web/audio.js";

/** @typedef {import("./web/audio.js").Source} Source */

/**
 * @typedef {object} TabSound
 * @property {Source} source
 * @property {() => Promise<void>} close Let go of the tab, which is heard as before then.
 */

/**
 * @param {string} streamId From `chrome.tabCapture`; good for one use, within seconds.
 * @returns {Promise<TabSound>}
 */
export async function openTabSound(streamId) {
  const audio = { mandatory: { chromeMediaSource: "tab", chromeMediaSourceId: streamId } };
  // Chromium's own constraints, which the types of the standard do not know.
  const constraints = /** @type {MediaStreamConstraints} */ (/** @type {unknown} */ ({ audio }));
  const stream = await navigator.mediaDevices.getUserMedia(constraints);
  const loudspeaker = new AudioContext();
  loudspeaker.createMediaStreamSource(stream).connect(loudspeaker.destination);
  const source = await openStream(stream);
  return {
    source,
    close: async () => {
      await source.stop();
      await loudspeaker.close();
    },
  };
}
