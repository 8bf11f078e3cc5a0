// Numbers of the operator's page in words.

/** @typedef {"count" | "mean" | "seconds" | "milliseconds" | "share" | "megabytes"} Unit */

/**
 * @param {number} digits
 * @param {number} [least]
 */
const decimals = (digits, least = 0) =>
  new Intl.NumberFormat("en", { maximumFractionDigits: digits, minimumFractionDigits: least });
const WHOLE = decimals(0);
const ONE = decimals(1, 1);
const SHORT = decimals(1);
const TWO = decimals(2, 2);

/**
 * @param {Unit} unit How it is shown; times are in seconds, shares from 0 to 1.
 * @param {number | null | undefined} value
 * @returns {string} A dash for none.
 */
export function formatValue(unit, value) {
  if (value === null || value === undefined) return "–";
  switch (unit) {
    case "count":
      return WHOLE.format(value);
    case "mean":
      return ONE.format(value);
    case "seconds":
      return `${value < 10 ? TWO.format(value) : ONE.format(value)} s`;
    case "milliseconds":
      return value < 1 ? `${WHOLE.format(value * 1000)} ms` : formatValue("seconds", value);
    case "share":
      return `${WHOLE.format(value * 100)} %`;
    case "megabytes":
      return value < 1024 ? `${WHOLE.format(value)} MB` : `${TWO.format(value / 1024)} GB`;
  }
}

/**
 * As short as the marks beside a chart have to be.
 *
 * @param {Unit} unit
 * @param {number} value
 * @returns {string}
 */
export function formatMark(unit, value) {
  switch (unit) {
    case "milliseconds":
      return value < 1 ? `${SHORT.format(value * 1000)} ms` : `${SHORT.format(value)} s`;
    case "seconds":
      return `${SHORT.format(value)} s`;
    case "share":
      return `${SHORT.format(value * 100)} %`;
    case "megabytes":
      return `${SHORT.format(value)} MB`;
    default:
      return SHORT.format(value);
  }
}

/**
 * @param {number} durationS
 * @returns {string} Such as "3 min 20 s" or "2 days 4 h".
 */
export function formatDuration(durationS) {
  const seconds = Math.floor(durationS);
  const [days, hours, minutes] = [86_400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  if (days) return `${days} ${days === 1 ? "day" : "days"} ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  if (minutes) return `${minutes} min ${seconds % 60} s`;
  return `${seconds} s`;
}

/**
 * @param {number} agoS
 * @returns {string}
 */
export function formatAgo(agoS) {
  return agoS < 1 ? "now" : `${formatDuration(agoS)} ago`;
}

/**
 * The protocol of a session. The rest of its path is the client's own choice and may be a name.
 *
 * @param {string | undefined} client Path and address, as `/status` gives them.
 * @returns {string}
 */
export function protocolOf(client) {
  if (client === undefined) return "–";
  const path = client.split(" ")[0].replace(/\/+$/, "");
  return { "/asr": "WhisperLiveKit", "/stream": "Text" }[path] ?? "WhisperLive";
}
