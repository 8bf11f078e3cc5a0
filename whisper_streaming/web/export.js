// A transcript as a file. Pure functions.

/** @typedef {import("./transcript.js").Line} Line */

/**
 * About a transcript, for its file.
 *
 * @typedef {object} Origin
 * @property {string} created ISO 8601.
 * @property {string | null} model
 * @property {string | null} language What was asked for; null: detected.
 * @property {string | null} source For example the name of a file.
 */

/**
 * @typedef {object} Format
 * @property {string} extension
 * @property {string} mimeType
 * @property {(lines: readonly Line[], origin: Origin) => string} print
 */

const CUE_WIDTH = 42; // characters that a row of a subtitle has at most, by broadcasters' custom
const SHORTEST_CUE_S = 0.2; // players drop cues that last no time
const NEW_PARAGRAPH_S = 2;

/** @type {Readonly<Record<"txt" | "srt" | "vtt" | "json", Format>>} */
export const FORMATS = {
  txt: { extension: "txt", mimeType: "text/plain", print: toText },
  srt: { extension: "srt", mimeType: "application/x-subrip", print: toSrt },
  vtt: { extension: "vtt", mimeType: "text/vtt", print: toVtt },
  json: { extension: "json", mimeType: "application/json", print: toJson },
};

/**
 * Paragraphs, which end where the speaker changes or pauses.
 *
 * @param {readonly Line[]} lines
 * @returns {string}
 */
export function toText(lines) {
  const names = nameSpeakers(lines);
  const paragraphs = [];
  let speaker = 0;
  let endS = -Infinity;
  for (const line of lines) {
    if (line.kind === "silence") continue;
    if (line.kind === "gap") {
      paragraphs.push(`[${describeGap(line)}]`);
      speaker = 0;
      continue;
    }
    if (line.speaker === speaker && line.start - endS <= NEW_PARAGRAPH_S) {
      paragraphs[paragraphs.length - 1] += ` ${line.text}`;
    } else {
      paragraphs.push(names ? `${names(line)}: ${line.text}` : line.text);
    }
    speaker = line.speaker;
    endS = line.end;
  }
  return paragraphs.map((paragraph) => `${paragraph}\n`).join("\n");
}

/**
 * SubRip.
 *
 * @param {readonly Line[]} lines
 * @returns {string}
 */
export function toSrt(lines) {
  const names = nameSpeakers(lines);
  return cuesOf(lines)
    .map((line, index) => {
      const times = `${formatTime(line.start, ",")} --> ${formatTime(line.end, ",")}`;
      const text = names ? `${names(line)}: ${line.text}` : line.text;
      return `${index + 1}\n${times}\n${withTranslation(text, line)}\n`;
    })
    .join("\n");
}

/**
 * WebVTT.
 *
 * @param {readonly Line[]} lines
 * @returns {string}
 */
export function toVtt(lines) {
  const names = nameSpeakers(lines);
  const cues = cuesOf(lines).map((line) => {
    const times = `${formatTime(line.start, ".")} --> ${formatTime(line.end, ".")}`;
    const text = escapeVtt(withTranslation(line.text, line));
    return `${times}\n${names ? `<v ${names(line)}>` : ""}${text}\n`;
  });
  return ["WEBVTT\n", ...cues].join("\n");
}

/**
 * The text of a cue, and what it means below it.
 *
 * @param {string} text
 * @param {Line} line
 */
function withTranslation(text, { translation }) {
  return translation ? `${wrap(text)}\n${wrap(translation)}` : wrap(text);
}

/**
 * Everything that is known.
 *
 * @param {readonly Line[]} lines
 * @param {Origin} origin
 * @returns {string}
 */
export function toJson(lines, origin) {
  return `${JSON.stringify({ ...origin, text: plainText(lines), lines }, null, 2)}\n`;
}

/**
 * The words alone.
 *
 * @param {readonly Line[]} lines
 * @returns {string}
 */
export function plainText(lines) {
  const spoken = lines.filter((line) => line.kind === "speech");
  return spoken.map((line) => line.text).join(" ");
}

/**
 * What a gap is to a reader.
 *
 * @param {Line} line
 * @returns {string}
 */
export function describeGap(line) {
  const seconds = Math.max(1, Math.round(line.end - line.start));
  return `connection lost: ${seconds} s of sound were not transcribed`;
}

/**
 * A name for a file that sorts by time, without characters that file systems refuse.
 *
 * @param {Date} date
 * @param {string} extension
 * @returns {string}
 */
export function fileName(date, extension) {
  const pad = (/** @type {number} */ number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `captions-${day}-${pad(date.getHours())}${pad(date.getMinutes())}.${extension}`;
}

/**
 * @param {number} seconds
 * @param {"," | "."} point
 * @returns {string} `HH:MM:SS,mmm`
 */
export function formatTime(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const pad = (/** @type {number} */ number, width = 2) => String(number).padStart(width, "0");
  const minutes = Math.floor(ms / 60_000);
  const time = [Math.floor(minutes / 60), minutes % 60, Math.floor(ms / 1000) % 60];
  return `${time.map((part) => pad(part)).join(":")}${point}${pad(ms % 1000, 3)}`;
}

/**
 * Rows of equal length, none much longer than a subtitle may be.
 *
 * @param {string} text
 * @returns {string}
 */
export function wrap(text) {
  const rows = Math.ceil(text.length / CUE_WIDTH);
  const width = text.length / rows;
  let wrapped = "";
  let length = 0; // of the row
  for (const word of text.split(/\s+/)) {
    // A word goes where more of it fits.
    const startsRow = wrapped !== "" && length + 1 + word.length / 2 > width;
    wrapped += wrapped === "" ? word : startsRow ? `\n${word}` : ` ${word}`;
    length = wrapped.length - (wrapped.lastIndexOf("\n") + 1);
  }
  return wrapped;
}

/**
 * @param {readonly Line[]} lines
 * @returns {Line[]} Those to show, none over the next one.
 */
function cuesOf(lines) {
  const spoken = lines.filter((line) => line.kind === "speech" && line.text);
  return spoken.map((line, index) => {
    const nextS = spoken[index + 1]?.start ?? Infinity;
    const end = Math.max(Math.min(line.end, nextS), line.start + SHORTEST_CUE_S);
    return { ...line, end };
  });
}

/**
 * @param {readonly Line[]} lines
 * @returns {((line: Line) => string) | null} Null where all is said by one.
 */
function nameSpeakers(lines) {
  const speakers = new Set(lines.filter((line) => line.kind === "speech").map((l) => l.speaker));
  return speakers.size > 1 ? (line) => `Speaker ${line.speaker}` : null;
}

/** @param {string} text */
function escapeVtt(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
