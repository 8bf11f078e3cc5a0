// What the charts of the operator's page show.

/** @typedef {import("./status-chart.js").Plan} Plan */

/** @type {Plan[]} */
export const PLANS = [
  {
    title: "Sessions",
    about: "Clients that hold a place",
    unit: "count",
    least: 4,
    lines: [{ key: "sessions", name: "connected" }, { key: "speaking", name: "speaking" }],
  },
  {
    title: "Lag",
    about: "Sound that waits to be decoded, per session",
    unit: "seconds",
    least: 1,
    lines: [{ key: "lagWorst", name: "worst" }, { key: "lagMedian", name: "median" }],
  },
  {
    title: "Latency of final words",
    about: "From a word’s last sound, over the last minute",
    unit: "seconds",
    least: 2,
    lines: [{ key: "latencyLate", name: "95 % within" }, { key: "latencyMedian", name: "median" }],
  },
  {
    title: "Load",
    about: "Share of the time in use, over 10 s",
    unit: "share",
    least: 1,
    lines: [{ key: "decoders", name: "decoders" }, { key: "processor", name: "processor" }],
  },
  {
    title: "Decodes",
    about: "Means over 10 s",
    unit: "milliseconds",
    least: 0.2,
    lines: [{ key: "decode", name: "decode" }, { key: "queueWait", name: "wait before it" }],
  },
  {
    title: "Windows per decode",
    about: "Sessions that are decoded together, mean over 10 s",
    unit: "mean",
    least: 4,
    lines: [{ key: "batch", name: "windows" }],
  },
  {
    title: "Clients per minute",
    about: "Who came, and who was told to wait",
    unit: "count",
    least: 4,
    lines: [{ key: "admitted", name: "admitted" }, { key: "refused", name: "refused" }],
  },
  {
    title: "Event loop",
    about: "Longest stall in the last 10 s",
    unit: "milliseconds",
    least: 0.02,
    lines: [{ key: "stall", name: "stall" }],
  },
  {
    title: "Memory",
    about: "Of the server’s process",
    unit: "megabytes",
    least: 100,
    lines: [{ key: "memory", name: "resident" }],
  },
];
