// What the parts of the extension say to each other. The overlay gets its messages over a port.

/** @typedef {import("./store.js").Recording} Recording */
/** @typedef {import("./store.js").Settings} Settings */
/** @typedef {import("./web/client.js").Connection} Connection */
/** @typedef {import("./web/captions.js").Row} Row */

/**
 * How a recording ended.
 *
 * @typedef {Recording & {problem: string}} Report
 */

/**
 * @typedef {{to: "background"} & (
 *   | {kind: "start", tabId: number}
 *   | {kind: "stop"}
 *   | {kind: "connection", id: string, phase: Connection["phase"], reason: string}
 *   | {kind: "ended", id: string, report: Report}
 * )} ToBackground
 */

/**
 * `start` is answered with what went wrong, in words, or nothing; `stop` with a `Report`, or null
 * if there was nothing to stop; `recording` with a `Recording`.
 *
 * @typedef {{to: "offscreen"} & (
 *   | {kind: "start", id: string, tabId: number, tabTitle: string, streamId: string, settings: Settings}
 *   | {kind: "stop"}
 *   | {kind: "recording"}
 * )} ToOffscreen
 */

/**
 * After a notice with `isLast` the overlay stays until the person closes it.
 *
 * @typedef {{kind: "looks", css: string, settings: Settings}
 *   | {kind: "captions", rows: Row[]}
 *   | {kind: "state", text: string}
 *   | {kind: "notice", text: string, isLast: boolean}
 *   | {kind: "announce", text: string}
 * } ToOverlay
 */

// It was not there, or went away before it answered.
const NOBODY = /Receiving end does not exist|(channel|port) closed before a response/;

/**
 * Say something to another part, if it is there.
 *
 * @param {ToBackground | ToOffscreen} message
 * @returns {Promise<any>} Its answer; null if there is nobody.
 */
export async function tell(message) {
  try {
    return (await chrome.runtime.sendMessage(message)) ?? null;
  } catch (error) {
    if (NOBODY.test(String(error))) return null;
    throw error;
  }
}

/**
 * Take the messages of this extension's own pages; those of web pages are none of them.
 *
 * @template {ToBackground | ToOffscreen} Message
 * @param {Message["to"]} name Of this part.
 * @param {(message: Message) => Promise<any>} answer
 */
export function listen(name, answer) {
  chrome.runtime.onMessage.addListener((message, sender, respond) => {
    const isOwn = sender.url?.startsWith(`${location.origin}/`);
    if (!isOwn || message.to !== name) return false;
    void answer(message).then(respond);
    return true; // the answer comes later
  });
}
