// The loudness of the last seconds as bars.

const BAR_PX = 3;
const GAP_PX = 2;
const FRAME_MS = 60;
const TELL_EVERY = 16; // frames, so that a screen reader that asks gets a number about once a second
const SILENT_FRAMES = 100; // six seconds without a sound: no room is so quiet
const SILENT_BELOW = 0.02;

/** Draws on a canvas while it runs. */
export class LevelMeter {
  #canvas;
  #onSilence;
  /** @type {number[]} */ #levels = [];
  #frames = 0;
  #silentFrames = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #timer;

  /**
   * @param {HTMLCanvasElement} canvas With `role="meter"`.
   * @param {(isSilent: boolean) => void} onSilence Nothing comes in at all; or again something.
   */
  constructor(canvas, onSilence) {
    this.#canvas = canvas;
    this.#onSilence = onSilence;
  }

  /** @param {() => number} level From 0 to 1. */
  start(level) {
    this.stop();
    this.#levels = [];
    this.#silentFrames = 0;
    this.#timer = setInterval(() => this.#step(level()), FRAME_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** @param {number} level */
  #step(level) {
    this.#levels.push(level);
    this.#draw();
    this.#frames += 1;
    if (this.#frames % TELL_EVERY === 0) {
      this.#canvas.setAttribute("aria-valuenow", String(Math.round(level * 100)));
    }
    this.#watchSilence(level);
  }

  /** @param {number} level */
  #watchSilence(level) {
    if (level < SILENT_BELOW) {
      this.#silentFrames += 1;
      if (this.#silentFrames === SILENT_FRAMES) this.#onSilence(true);
    } else {
      if (this.#silentFrames >= SILENT_FRAMES) this.#onSilence(false);
      this.#silentFrames = 0;
    }
  }

  #draw() {
    const canvas = this.#canvas;
    const { clientWidth: width, clientHeight: height } = canvas;
    const scale = devicePixelRatio;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const bars = Math.floor((width + GAP_PX) / (BAR_PX + GAP_PX));
    this.#levels = this.#levels.slice(-bars);
    const context = canvas.getContext("2d");
    if (!context) return;
    context.scale(scale, scale);
    context.fillStyle = getComputedStyle(canvas).color;
    this.#levels.forEach((level, index) => {
      const length = Math.max(BAR_PX, level ** 2 * height); // squared, to show more of loud sounds
      const x = width - (this.#levels.length - index) * (BAR_PX + GAP_PX) + GAP_PX;
      context.beginPath();
      context.roundRect(x, (height - length) / 2, BAR_PX, length, BAR_PX / 2);
      context.fill();
    });
  }
}
