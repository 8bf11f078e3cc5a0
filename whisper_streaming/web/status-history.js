// What the server said of itself in the last ten minutes, as values to draw.

export const KEPT_S = 600;

const SPANS_S = [120, 300, KEPT_S];
const RATE_S = 10; // decodes come in lumps: loads and waits are means over so long
const COUNT_S = 60;

/**
 * What `/status` gives, as far as it is used here.
 *
 * @typedef {object} Status
 * @property {string} started_at Another one after a restart.
 * @property {number} uptime_s
 * @property {number} current_clients
 * @property {number} busy_clients
 * @property {number} max_clients
 * @property {boolean} is_full
 * @property {number} estimated_wait_time_minutes
 * @property {number} admitted_clients
 * @property {number} refused_clients
 * @property {boolean} is_healthy
 * @property {string} engine
 * @property {string[]} models
 * @property {number} workers
 * @property {SessionRow[]} sessions
 * @property {{ p50_s: number | null, p95_s: number | null }} final_words
 * @property {Record<string, number>} scheduler
 * @property {{ failures: number }} vad
 * @property {{ lost: number }} media
 * @property {{ stall_recent_s: number }} event_loop
 * @property {{ cpu_s: number, cores: number, memory_mb: number | null }} process
 * @property {{ estimated_sessions: number, is_overloaded: boolean, rtf: number }} [capacity]
 *   Absent if the server does not measure.
 */

/**
 * @typedef {object} SessionRow
 * @property {number} session
 * @property {string} [client] Its path and address; absent until it has options.
 * @property {string} [model]
 * @property {boolean} is_busy
 * @property {number} [lag_s]
 * @property {number} [audio_s]
 * @property {number} [decodes]
 * @property {number} [commits]
 * @property {number} age_s
 * @property {number} time_left_s
 */

/** @typedef {Record<string, number | null>} Values Null: there is none just then. */
/** @typedef {{ atS: number, values: Values }} Sample */
/** @typedef {{ atS: number, status: Status }} State */
/** @typedef {{ minute: number | null, mean: number | null, most: number | null }} Summary */

/** Samples of the last ten minutes. Times are seconds on the page's clock. */
export class History {
  /** @type {Sample[]} */ samples = [];
  /** @type {State[]} */ #states = [];

  /**
   * @param {number} atS
   * @param {Status} status
   */
  add(atS, status) {
    const last = this.#states.at(-1);
    if (last && isRestarted(last.status, status)) this.#states = []; // it counts from 0
    this.#states.push({ atS, status });
    this.#states = this.#states.filter((state) => state.atS >= atS - COUNT_S);
    this.#keep({ atS, values: valuesOf(this.#states) });
  }

  /**
   * The server did not answer: lines break here.
   *
   * @param {number} atS
   */
  addGap(atS) {
    this.#keep({ atS, values: {} });
  }

  /** How many seconds the charts show: ten minutes, and less as long as less is known. */
  get spanS() {
    const [first, last] = [this.samples.at(0), this.samples.at(-1)];
    const knownS = first && last ? last.atS - first.atS : 0;
    return SPANS_S.find((each) => each >= knownS) ?? KEPT_S;
  }

  /**
   * The newest sample that is not newer than `atS`; null before the first.
   *
   * @param {number} atS
   * @returns {Sample | null}
   */
  at(atS) {
    return this.samples.findLast((sample) => sample.atS <= atS) ?? null;
  }

  /**
   * @param {string} key Of a value.
   * @returns {Summary} Null where there was none.
   */
  summary(key) {
    const endS = this.samples.at(-1)?.atS ?? 0;
    /** @param {number} sinceS */
    const since = (sinceS) =>
      this.samples
        .filter((sample) => sample.atS > endS - sinceS)
        .map((sample) => sample.values[key] ?? null)
        .filter((value) => value !== null);
    const all = since(KEPT_S);
    return {
      minute: mean(since(COUNT_S)),
      mean: mean(all),
      most: all.length ? Math.max(...all) : null,
    };
  }

  /** @param {Sample} sample */
  #keep(sample) {
    this.samples.push(sample);
    this.samples = this.samples.filter((each) => each.atS >= sample.atS - KEPT_S);
  }
}

/**
 * Whether the server was started again. How long it runs does not tell: this page may have slept.
 *
 * @param {Status} before
 * @param {Status} status
 */
export function isRestarted(before, status) {
  return status.started_at !== before.started_at;
}

/**
 * @param {State[]} states Of the last minute; the last one is now.
 * @returns {Values}
 */
function valuesOf(states) {
  const { atS, status } = /** @type {State} */ (states.at(-1));
  const recent = states.find((state) => state.atS >= atS - RATE_S)?.status ?? status;
  const minuteAgo = states[0].status;
  const lags = status.sessions.map((row) => row.lag_s ?? 0).sort((one, other) => one - other);
  const { scheduler, process } = status;
  /** @param {string} key Of a sum that the scheduler keeps. */
  const grown = (key) => scheduler[key] - recent.scheduler[key];
  const passedS = status.uptime_s - recent.uptime_s;
  return {
    sessions: status.current_clients,
    speaking: status.busy_clients,
    lagWorst: lags.at(-1) ?? null,
    lagMedian: lags.length ? lags[Math.ceil(lags.length / 2) - 1] : null,
    latencyMedian: status.final_words.p50_s,
    latencyLate: status.final_words.p95_s,
    queueWait: share(grown("queue_wait_s"), grown("started")),
    decode: share(grown("decode_s"), grown("batches")),
    batch: share(grown("requests"), grown("batches")),
    // A decode counts when it ends, so a short time can hold more of it than itself.
    decoders: atMostOne(share(grown("decode_s"), passedS * status.workers)),
    processor: atMostOne(share(process.cpu_s - recent.process.cpu_s, passedS * process.cores)),
    stall: status.event_loop.stall_recent_s,
    memory: process.memory_mb,
    admitted: status.admitted_clients - minuteAgo.admitted_clients,
    refused: status.refused_clients - minuteAgo.refused_clients,
  };
}

/**
 * @param {number} part
 * @param {number} whole
 * @returns {number | null} Null of nothing.
 */
function share(part, whole) {
  return whole > 0 ? Math.max(0, part) / whole : null;
}

/** @param {number | null} value */
function atMostOne(value) {
  return value === null ? null : Math.min(1, value);
}

/**
 * @param {number[]} values
 * @returns {number | null}
 */
function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}
