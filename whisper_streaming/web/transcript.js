// What the messages of /asr add up to, across connections. No socket, no page.

const SILENCE_SPEAKER = -2;
const ENDS_SENTENCE = /[.?!…。？！][\p{Pe}\p{Pf}"']*$/u;

/**
 * One row of a transcript. Times are seconds since the first sample of the first connection.
 *
 * @typedef {object} Line
 * @property {"speech" | "silence" | "gap"} kind A gap is sound that nobody transcribed.
 * @property {number} speaker From 1 on; 0 where nobody spoke.
 * @property {string} text Without spaces around it; empty for a silence or a gap.
 * @property {number} start
 * @property {number} end
 * @property {string | null} language Whisper code, if it was detected.
 * @property {string | null} translation
 * @property {boolean} isFinal False for words that were still open when the connection broke.
 */

/**
 * Everything that there is to show.
 *
 * @typedef {object} Captions
 * @property {Line[]} lines Oldest first.
 * @property {string} unstable Words after the lines that may still change.
 * @property {boolean} continuesLine Whether they belong to the last line.
 * @property {string} translation Of what is being said, where the server has it; may change.
 * @property {number} lagS Seconds of received speech that are not final.
 */

/**
 * A line as it travels.
 *
 * @typedef {object} WireLine
 * @property {number} speaker
 * @property {string | null} text
 * @property {string} start
 * @property {string} end
 * @property {string} [detected_language]
 * @property {string} [translation]
 */

/** A diff does not fit the state before it: a message is missing. */
export class OutOfStep extends Error {
  name = "OutOfStep";
}

/** Folds states, snapshots and diffs into one transcript that only grows. */
export class Transcript {
  /** @type {Line[]} */ #earlier = []; // of connections before this one
  /** @type {Line[]} */ #dropped = []; // of this one, not listed by the server any more
  /** @type {WireLine[]} */ #wire = [];
  /** @type {Line[]} */ #listed = [];
  #offsetS = 0;
  #seq = 0;
  #hasOpenLine = false;
  #unstable = "";
  #translation = "";
  #lagS = 0;

  /** @returns {Captions} */
  get captions() {
    const lines = this.lines;
    const last = lines.at(-1);
    return {
      lines,
      unstable: this.#unstable,
      continuesLine: this.#hasOpenLine && last?.kind === "speech" && !isComplete(last),
      translation: this.#translation,
      lagS: this.#lagS,
    };
  }

  /** @returns {Line[]} */
  get lines() {
    return [...this.#earlier, ...this.#dropped, ...this.#listed];
  }

  /** End of the last final line in seconds; what was heard before it needs no other hearing. */
  get endS() {
    return this.lines.at(-1)?.end ?? 0;
  }

  /** Whether all speech that arrived is final, as far as the server has told. */
  get isSettled() {
    return this.#unstable === "" && this.#lagS === 0;
  }

  /**
   * A connection begins. Lines that begin after its first sample are heard again, and dropped.
   *
   * @param {number} offsetS Where its first sample is on the clock of the transcript.
   */
  begin(offsetS) {
    this.#earlier = this.lines.filter((line) => line.start < offsetS);
    this.#dropped = [];
    this.#wire = [];
    this.#listed = [];
    this.#offsetS = offsetS;
    this.#seq = 0;
    this.#unstable = "";
    this.#translation = "";
    this.#lagS = 0;
  }

  /**
   * The connection is gone.
   *
   * @param {boolean} keepsUnstable Whether the open words are kept, because their sound will not
   *   be heard again.
   */
  breakOff(keepsUnstable) {
    const text = this.#unstable.trim();
    if (keepsUnstable && text) {
      const endS = this.endS;
      const speaker = this.lines.at(-1)?.speaker || 1;
      const line = { kind: "speech", speaker, text, start: endS, end: round(endS + this.#lagS) };
      this.#listed.push(/** @type {Line} */ ({ ...NOT_KNOWN, ...line, isFinal: false }));
    }
    this.#unstable = "";
    this.#translation = "";
    this.#lagS = 0;
  }

  /**
   * Note that sound was lost.
   *
   * @param {number} startS
   * @param {number} endS
   */
  addGap(startS, endS) {
    const gap = { kind: "gap", speaker: 0, text: "", start: round(startS), end: round(endS) };
    this.#earlier.push(/** @type {Line} */ ({ ...NOT_KNOWN, ...gap }));
  }

  /** Forget everything; only between connections. */
  clear() {
    this.begin(-Infinity);
    this.#offsetS = 0;
  }

  /**
   * Take a state, a snapshot or a diff.
   *
   * @param {any} message
   * @throws {OutOfStep} If a message before it is missing.
   */
  read(message) {
    if (message.type === "diff") {
      this.#wire = applyDiff(this.#wire, message, this.#seq + 1);
    } else {
      this.#wire = message.lines ?? [];
    }
    this.#seq = message.seq ?? 0;
    this.#hasOpenLine = message.type === undefined;
    this.#list(this.#wire.map((line) => this.#convert(line)));
    this.#unstable = (message.buffer_diarization ?? "") + (message.buffer_transcription ?? "");
    this.#translation = message.buffer_translation ?? "";
    this.#lagS = message.remaining_time_transcription ?? 0;
  }

  /** @param {Line[]} lines */
  #list(lines) {
    // A server lists the newest lines only; those that it dropped are kept here. It may also
    // send lines anew that it had dropped.
    const first = lines[0]?.start ?? Infinity;
    this.#dropped = [...this.#dropped, ...this.#listed].filter((line) => line.start < first);
    this.#listed = lines;
  }

  /**
   * @param {WireLine} line
   * @returns {Line}
   */
  #convert(line) {
    const isSilence = line.speaker === SILENCE_SPEAKER;
    return {
      kind: isSilence ? "silence" : "speech",
      speaker: isSilence ? 0 : Math.max(1, line.speaker),
      text: (line.text ?? "").trim(),
      start: round(parseTime(line.start) + this.#offsetS),
      end: round(parseTime(line.end) + this.#offsetS),
      language: line.detected_language ?? null,
      translation: line.translation ?? null,
      isFinal: true,
    };
  }
}

const NOT_KNOWN = { language: null, translation: null, isFinal: true };

/**
 * Seconds of `H:MM:SS.cc`.
 *
 * @param {string} text
 * @returns {number}
 */
export function parseTime(text) {
  return text.split(":").reduce((total, part) => total * 60 + Number(part), 0);
}

/**
 * Whether a line ends like a sentence, so that what follows is another.
 *
 * @param {Line} line
 * @returns {boolean}
 */
export function isComplete(line) {
  return line.kind !== "speech" || ENDS_SENTENCE.test(line.text);
}

/**
 * @param {WireLine[]} lines
 * @param {any} diff
 * @param {number} seq That the diff must have.
 * @returns {WireLine[]}
 */
function applyDiff(lines, diff, seq) {
  const applied = [...lines.slice(diff.lines_pruned ?? 0), ...(diff.new_lines ?? [])];
  if (diff.seq !== seq || applied.length !== diff.n_lines) {
    throw new OutOfStep(`diff ${diff.seq} came instead of ${seq}, with ${diff.n_lines} lines`);
  }
  return applied;
}

/**
 * @param {number} seconds
 * @returns {number} To the millisecond: sums of times would show what they were computed from.
 */
function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
