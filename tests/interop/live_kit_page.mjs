// Runs the script of WhisperLiveKit's own web page with messages of a server, and writes down
// what the page shows after each of them, and what it sends. Arguments: its script, and a JSON
// file with the messages of a session; the outcome goes to standard output as JSON.

import { readFileSync } from "node:fs";
import vm from "node:vm";

const [script, messagesFile] = process.argv.slice(2);
const messages = JSON.parse(readFileSync(messagesFile, "utf8"));

// Whatever else the page touches (buttons, canvas, theme) can be called and says nothing.
const anything = new Proxy(function () {}, {
  get: (_, name) => {
    if (name === "then") return undefined;
    if (name === Symbol.toPrimitive) return () => "";
    return anything;
  },
  set: () => true,
  apply: () => anything,
  construct: () => anything,
});

const transcript = { innerHTML: "" };
const status = { textContent: "" };
const button = { disabled: false, classList: anything, addEventListener: (_, f) => (button.click = f) };
const elements = { linesTranscript: transcript, status, recordButton: button };

const sent = [];
let socket;
class Socket {
  static OPEN = 1;
  constructor(url) {
    this.url = url;
    this.readyState = Socket.OPEN;
    socket = this;
    setTimeout(() => this.onopen());
  }
  send(message) {
    sent.push(message instanceof Blob ? message.size : message.byteLength);
  }
  close() {
    this.readyState = 3;
    setTimeout(() => this.onclose());
  }
}

let recorder;
class Recorder {
  constructor() {
    recorder = this;
  }
  start() {}
  stop() {
    this.ondataavailable({ data: new Blob(["the last fragment"]) });
  }
}

const page = vm.createContext({
  document: {
    getElementById: (name) => elements[name] ?? anything,
    querySelector: (name) => (name === ".timer" ? {} : null),
    querySelectorAll: () => [],
    documentElement: anything,
    addEventListener: () => {},
  },
  window: { location: { hostname: "localhost", port: "9090", protocol: "http:" }, AudioContext: anything },
  navigator: { mediaDevices: anything, wakeLock: anything },
  localStorage: { getItem: () => null, setItem: () => {} },
  getComputedStyle: () => anything,
  requestAnimationFrame: () => 0,
  cancelAnimationFrame: () => {},
  setInterval: () => 0,
  clearInterval: () => {},
  setTimeout,
  clearTimeout,
  console: { log() {}, warn() {}, error: (error) => { throw error; } },
  WebSocket: Socket,
  MediaRecorder: Recorder,
  Blob,
  Uint8Array,
  JSON,
});
vm.runInContext(readFileSync(script, "utf8"), page);

const turn = () => new Promise((resolve) => setTimeout(resolve));
const receive = (message) => socket.onmessage({ data: JSON.stringify(message) });

const began = button.click();
await turn();
receive(messages[0]); // config
await began;
recorder.ondataavailable({ data: new Blob(["a fragment"]) });

const shown = [];
for (const message of messages.slice(1, -1)) {
  receive(message);
  shown.push(transcript.innerHTML);
}
await button.click(); // stop
receive(messages.at(-1)); // ready_to_stop
await turn();

console.log(JSON.stringify({
  url: socket.url, sent, shown, last: transcript.innerHTML, status: status.textContent,
  closed: socket.readyState === 3,
}));
