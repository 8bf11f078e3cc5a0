// A transcript on its way out of the page.

/**
 * @param {string} text
 * @returns {Promise<void>}
 */
export async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without a secure context there is only the old way.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/**
 * @param {string} name
 * @param {string} mimeType
 * @param {string} text
 */
export function downloadText(name, mimeType, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: `${mimeType};charset=utf-8` }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Keeps the screen of a phone on while it shows captions. */
export class WakeLock {
  /** @type {WakeLockSentinel | null} */ #lock = null;
  #isWanted = false;

  constructor() {
    document.addEventListener("visibilitychange", () => void this.#renew());
  }

  /** @param {boolean} isWanted */
  async want(isWanted) {
    this.#isWanted = isWanted;
    if (!isWanted) {
      await this.#lock?.release();
      this.#lock = null;
    }
    await this.#renew();
  }

  async #renew() {
    if (!this.#isWanted || document.hidden || !("wakeLock" in navigator)) return;
    try {
      this.#lock = await navigator.wakeLock.request("screen");
    } catch {
      return; // the battery is low, or the browser does not want to: captions work without it
    }
    if (!this.#isWanted) await this.#lock.release(); // it came after the recording had ended
  }
}
