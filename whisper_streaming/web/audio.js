// Where sound comes from: a microphone, a tab, any stream, a file. Each source gives its audio
// either as 16-bit samples at 16 kHz or in a container.

import { ContainerFile, DecodedFile } from "./file-sources.js";
import { RecordedStream, SampledStream } from "./live-sources.js";

/** @typedef {"samples" | "container"} AudioForm */

/**
 * Something to transcribe.
 *
 * @typedef {object} Source
 * @property {AudioForm} form
 * @property {boolean} isLive False for a file, whose audio waits until it is wanted.
 * @property {number | null} durationS Of a file, if it is known.
 * @property {(sink: Sink) => void} start
 * @property {() => number} restart Begin the container anew; returns the second at which it begins.
 * @property {() => Promise<void>} stop Let go of the device, after the last audio was given.
 * @property {() => number} level How loud it is now, from 0 (silence) to 1.
 * @property {() => number} positionS Seconds of audio given so far.
 */

/**
 * Where audio goes.
 *
 * @typedef {object} Sink
 * @property {(audio: ArrayBuffer | Blob) => void} onAudio
 * @property {(reason: string) => void} onEnd There is no more; with a reason if that is a surprise.
 * @property {() => Promise<void>} whenWanted Resolves when there is room for more of a file.
 */

/** No sound can be had, for a reason that a person can read. */
export class AudioError extends Error {
  name = "AudioError";
}

const RATE = 16000;

/**
 * What this browser can do here, on this page.
 *
 * @returns {{microphone: boolean, tab: boolean, samples: boolean, container: boolean}}
 */
export function findAbilities() {
  return {
    microphone: Boolean(navigator.mediaDevices?.getUserMedia),
    tab: Boolean(navigator.mediaDevices?.getDisplayMedia),
    samples: typeof AudioWorkletNode === "function",
    container: typeof MediaRecorder === "function",
  };
}

/** @returns {Promise<{id: string, label: string}[]>} Empty labels before the first permission. */
export async function listMicrophones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return devices
    .filter((device) => device.kind === "audioinput")
    .map((device) => ({ id: device.deviceId, label: device.label }));
}

/**
 * @param {{deviceId?: string, form?: AudioForm}} [options]
 * @returns {Promise<Source>}
 * @throws {AudioError}
 */
export async function openMicrophone({ deviceId, form = "samples" } = {}) {
  const audio = {
    deviceId: deviceId ? { exact: deviceId } : undefined,
    // Made for telephone calls; they cost words, and take away what comes from loudspeakers.
    echoCancellation: false,
    noiseSuppression: false,
    autoGainControl: true,
  };
  const stream = await asked(() => navigator.mediaDevices.getUserMedia({ audio }), MICROPHONE);
  return openStream(stream, { form });
}

/**
 * The sound of a tab, a window or the screen, as the person chooses.
 *
 * @param {{form?: AudioForm}} [options]
 * @returns {Promise<Source>}
 * @throws {AudioError}
 */
export async function openTab({ form = "samples" } = {}) {
  const wishes = {
    video: true, // browsers share no sound alone
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    systemAudio: "include",
    selfBrowserSurface: "exclude",
  };
  const stream = await asked(() => navigator.mediaDevices.getDisplayMedia(wishes), TAB);
  if (stream.getAudioTracks().length === 0) {
    for (const track of stream.getTracks()) track.stop();
    throw new AudioError(
      "No sound was shared. Choose a tab and switch on “Also share tab audio”; not every " +
        "browser can share sound.",
    );
  }
  return openStream(stream, { form });
}

/**
 * @param {MediaStream} stream With at least one audio track; stopped with the source.
 * @param {{form?: AudioForm}} [options]
 * @returns {Promise<Source>}
 */
export async function openStream(stream, { form = "samples" } = {}) {
  const context = new AudioContext();
  try {
    if (form === "samples") {
      await context.audioWorklet.addModule(new URL("./pcm-worklet.js", import.meta.url));
    }
    await context.resume();
  } catch (error) {
    // Nobody would stop it: the microphone would stay on.
    for (const track of stream.getTracks()) track.stop();
    await context.close();
    throw error;
  }
  return form === "samples"
    ? new SampledStream(stream, context)
    : new RecordedStream(stream, context);
}

/**
 * @param {File} file
 * @param {{form?: AudioForm}} [options] Samples: decoded here. Container: sent as it is.
 * @returns {Promise<Source>}
 * @throws {AudioError}
 */
export async function openFile(file, { form = "samples" } = {}) {
  if (form === "container") return new ContainerFile(file);
  // Decoding resamples to the rate of the context.
  const context = new OfflineAudioContext(1, 1, RATE);
  try {
    return new DecodedFile(await context.decodeAudioData(await file.arrayBuffer()));
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new AudioError(`This browser cannot decode “${file.name}”.`, { cause: error });
  }
}

const MICROPHONE = new Map([
  ["NotAllowedError", "The browser was not allowed to use the microphone. Allow it for this page."],
  ["NotFoundError", "There is no microphone."],
  ["OverconstrainedError", "The chosen microphone is gone. Choose another one."],
  ["NotReadableError", "The microphone is in use by another program, or does not work."],
]);

const TAB = new Map([
  ["NotAllowedError", "Nothing was shared: the browser was not allowed to, or you closed its question."],
  ["NotFoundError", "There is nothing to share."],
]);

/**
 * @template T
 * @param {() => Promise<T>} ask
 * @param {Map<string, string>} answers What the browser's errors mean to a person.
 * @returns {Promise<T>}
 */
async function asked(ask, answers) {
  try {
    return await ask();
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    throw new AudioError(answers.get(name) ?? message, { cause: error });
  }
}
