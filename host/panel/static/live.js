// The line to the box: one WebSocket that comes back by itself, and the box's clock as seen from here.

const PING_MS = 2000;
const SAMPLES = 8;

export class Live extends EventTarget {
  constructor() {
    super();
    this.offset_s = null; // the box's monotonic seconds minus this page's
    this.role = "player";
    this.who = "";
    this.samples = [];
    this.tries = 0;
    this.connect();
    setInterval(() => this.ping(), PING_MS);
    addEventListener("online", () => this.socket?.readyState === WebSocket.CLOSED && this.connect());
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  // The box's time now; NaN while it is not known.
  now_s() {
    return this.offset_s === null ? NaN : performance.now() / 1000 + this.offset_s;
  }

  connect() {
    clearTimeout(this.retry);
    this.socket?.close();
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
    this.socket = socket;
    socket.onopen = () => {
      this.tries = 0;
      this.samples = [];
      for (let n = 0; n < 4; n++) setTimeout(() => this.ping(), n * 60);
    };
    socket.onmessage = (event) => socket === this.socket && this.receive(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.tell("away", { code: event.code });
      this.retry = setTimeout(() => this.connect(), Math.min(2000, 150 * 2 ** this.tries++));
    };
  }

  ask(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  ping() {
    this.ask({ ask: "ping", sent_ms: performance.now() });
  }

  receive(message) {
    if (message.kind === "pong") return this.pong(message);
    if (message.kind === "hello") Object.assign(this, { role: message.role, who: message.who });
    this.tell(message.kind, message);
  }

  // The best of the last few round trips tells the difference of the clocks; small changes are slewed.
  pong({ sent_ms, now_s }) {
    const got_ms = performance.now();
    this.samples.push({ trip_s: (got_ms - sent_ms) / 1000, offset_s: now_s - (sent_ms + got_ms) / 2000 });
    if (this.samples.length > SAMPLES) this.samples.shift();
    const best = this.samples.reduce((a, b) => (a.trip_s < b.trip_s ? a : b));
    this.trip_ms = best.trip_s * 1000;
    const off = best.offset_s - (this.offset_s ?? Infinity);
    this.offset_s = Math.abs(off) > 0.03 ? best.offset_s : this.offset_s + off / 4;
  }

  tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
