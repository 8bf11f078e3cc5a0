// Streams that a browser plays into a page, as samples or recorded.

import { levelOf } from "./level.js";

/** @typedef {import("./audio.js").Source} Source */
/** @typedef {import("./audio.js").Sink} Sink */

const BYTES_PER_SECOND = 16000 * 2;
const RECORDER_SLICE_MS = 250;
const RECORDER_BITS_PER_SECOND = 48_000; // Opus; speech needs no more
const RECORDER_TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

/** What the two ways to take a stream share: its level, its end. */
class LiveStream {
  isLive = true;
  durationS = null;
  /** @type {Sink | null} */ sink = null;
  #analyser;
  #window;

  /**
   * @param {MediaStream} stream
   * @param {AudioContext} context
   */
  constructor(stream, context) {
    this.stream = stream;
    this.context = context;
    // Alone: a recorder would write the picture, too.
    this.audio = new MediaStream(stream.getAudioTracks());
    this.input = context.createMediaStreamSource(this.audio);
    this.#analyser = new AnalyserNode(context, { fftSize: 2048 });
    this.#window = new Float32Array(this.#analyser.fftSize);
    this.input.connect(this.#analyser);
    for (const track of stream.getAudioTracks()) {
      track.onended = () => this.sink?.onEnd("The source of the sound is gone.");
    }
  }

  level() {
    this.#analyser.getFloatTimeDomainData(this.#window);
    return levelOf(this.#window);
  }

  async release() {
    for (const track of this.stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
    if (this.context.state !== "closed") await this.context.close();
  }
}

/** @implements {Source} */
export class SampledStream extends LiveStream {
  form = /** @type {const} */ ("samples");
  #bytes = 0;
  /** @type {AudioWorkletNode | null} */ #capture = null;
  /** @type {() => void} */ #flushed = () => {};

  /** @param {Sink} sink */
  start(sink) {
    this.sink = sink;
    this.#capture = new AudioWorkletNode(this.context, "pcm-capture", {
      channelCount: 1, // the browser mixes down
      channelCountMode: "explicit",
    });
    this.#capture.port.onmessage = ({ data }) => {
      if (data.byteLength === 0) return this.#flushed();
      this.#bytes += data.byteLength;
      sink.onAudio(data);
    };
    this.input.connect(this.#capture);
    // It gives silence; some browsers run only what leads to the loudspeakers.
    this.#capture.connect(this.context.destination);
  }

  restart() {
    return this.positionS();
  }

  async stop() {
    if (this.#capture && this.context.state === "running") {
      const flushed = new Promise((resolve) => (this.#flushed = () => resolve(undefined)));
      this.#capture.port.postMessage("end");
      await flushed;
    }
    await this.release();
  }

  positionS() {
    return this.#bytes / BYTES_PER_SECOND;
  }
}

/** @implements {Source} */
export class RecordedStream extends LiveStream {
  form = /** @type {const} */ ("container");
  #startedAt = 0; // on the context's clock
  /** @type {MediaRecorder | null} */ #recorder = null;

  /** @param {Sink} sink */
  start(sink) {
    this.sink = sink;
    this.#startedAt = this.context.currentTime;
  }

  restart() {
    this.#drop();
    const mimeType = RECORDER_TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.#recorder = new MediaRecorder(this.audio, {
      mimeType,
      audioBitsPerSecond: RECORDER_BITS_PER_SECOND,
    });
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size > 0) this.sink?.onAudio(data);
    };
    this.#recorder.start(RECORDER_SLICE_MS);
    return this.positionS();
  }

  async stop() {
    const recorder = this.#recorder;
    if (recorder && recorder.state !== "inactive") {
      // It gives its last part before it says that it stopped.
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
      recorder.stop();
      await stopped;
    }
    await this.release();
  }

  positionS() {
    return this.sink ? this.context.currentTime - this.#startedAt : 0;
  }

  #drop() {
    if (!this.#recorder) return;
    this.#recorder.ondataavailable = null;
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
  }
}
