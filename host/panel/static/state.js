// The state of everything, and each fault in a sentence.

import { make } from "./controls.js";

export class State {
  constructor(live, faults, footer) {
    Object.assign(this, { live, faults, footer, state: null, machine: {}, sentences: [], own: new Map() });
    live.addEventListener("whole", ({ detail }) => this.show(detail.state));
    live.addEventListener("frame", ({ detail }) => detail.state && this.show(detail.state));
    live.addEventListener("machine", ({ detail }) => {
      this.machine = detail;
      this.draw();
    });
    live.addEventListener("away", () => this.fault("away", "The box is not there. Is noonsong running? This page finds it again by itself."));
    live.addEventListener("hello", () => this.fault("away", ""));
    live.addEventListener("full", ({ detail }) => this.fault("full", detail.says));
    live.addEventListener("refused", ({ detail }) => this.passing(detail.says));
    live.addEventListener("settings", () => this.fault("passing", "")); // what was refused has been written now
  }

  show(state) {
    this.state = state;
    this.draw();
  }

  // A fault of the page's own; an empty sentence ends it.
  fault(key, sentence) {
    if (sentence) this.own.set(key, sentence);
    else this.own.delete(key);
    this.draw();
  }

  // A sentence that stays a while.
  passing(sentence) {
    this.fault("passing", sentence);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.fault("passing", ""), 8000);
  }

  draw() {
    const faults = [...this.own.values(), ...(this.state?.faults ?? []), ...(this.machine.faults ?? [])];
    if (faults.join("\n") !== this.sentences.join("\n")) {
      this.sentences = faults;
      this.faults.replaceChildren(...faults.map((sentence) => make("p", "fault", sentence)));
    }
    if (this.state) this.draw_footer(this.state);
  }

  draw_footer(state) {
    const { machine } = this;
    const items = [
      [state.board.connected ? "well" : "none", "Board", state.board.connected ? state.board.says : "not connected", state.board.says],
      ...state.outputs.map((output) => [output.well ? "well" : "none", "Out", output.says, output.says]),
      ...(state.outputs.length ? [] : [["none", "Out", "nobody: the journal keeps it", "no MIDI port and no recording"]]),
      ...state.inputs.map((says) => ["", "In", says.replace("listening to ", ""), says]),
      [state.clock.well ? "well" : "bad", "Clock", (state.clock.well && state.clock.says) || state.clock.source, "whose time the piece follows"],
      [state.late_ms < 10 ? "well" : "bad", "Late", `${state.late_ms.toFixed(1)} ms`, `worst since the start: ${state.worst_late_ms} ms`],
      ["", "Ahead", `${state.planned} notes`, "planned, not yet final"],
      ["", "Queue", String(state.queue), "events that wait for their time"],
      ...(machine.cpu_percent === undefined ? [] : [["", "CPU", `${machine.cpu_percent.toFixed(0)} %`, "of one core, by the music"]]),
      ...(machine.memory_mb === undefined ? [] : [["", "Memory", `${machine.memory_mb} MB`, `${machine.memory_free_mb} MB free`]]),
      ...(machine.disk_free_mb === undefined ? [] : [["", "Disk", `${size(machine.disk_free_mb)} free`, "where the piece is kept"]]),
      ...(this.extra ?? []),
    ];
    const text = JSON.stringify(items);
    if (text === this.drawn) return;
    this.drawn = text;
    this.footer.replaceChildren(
      ...items.map(([health, name, value, more]) => {
        const item = make("span", `item ${health}`);
        item.title = more;
        item.append(make("b", "", name), make("span", "", value));
        return item;
      }),
    );
  }
}

const size = (mb) => (mb > 10240 ? `${Math.round(mb / 1024)} GB` : `${mb} MB`);
