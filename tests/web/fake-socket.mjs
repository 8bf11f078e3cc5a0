// A WebSocket, a clock and timers that a test moves.

export class FakeWorld {
  sockets = [];
  timers = new Map();
  nowMs = 0;

  get environment() {
    const world = this;
    return {
      WebSocket: class {
        sent = [];
        isClosed = false;
        bufferedAmount = 0;
        constructor(url) {
          this.url = url;
          world.sockets.push(this);
        }
        send(audio) {
          this.sent.push(audio);
        }
        close() {
          this.isClosed = true;
        }
      },
      setTimeout: (call, ms) => {
        const timer = Symbol("timer");
        this.timers.set(timer, { call, ms });
        return timer;
      },
      clearTimeout: (timer) => this.timers.delete(timer),
      now: () => this.nowMs,
      random: () => 0.5,
    };
  }

  get socket() {
    return this.sockets.at(-1);
  }

  tell(message) {
    this.socket.onmessage({ data: JSON.stringify(message) });
  }

  accept() {
    this.tell({ type: "config", useAudioWorklet: true, mode: "full" });
  }

  drop(code = 1006) {
    this.socket.onclose({ code, reason: "" });
  }

  /** Let the only timer end. */
  wait() {
    const [[timer, { call, ms }]] = this.timers;
    this.timers.delete(timer);
    this.nowMs += ms;
    call();
    return ms;
  }
}
