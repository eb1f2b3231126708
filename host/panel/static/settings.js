// Settings: this page's own, what moves the controls, the board's volts, and every key of noonsong.toml.

import { make } from "./controls.js";

const PORTS = [[/^midi\.outputs\.\d+\.port$|^clock\.midi_out$/, "ports-out"], [/^inputs\.(midi|keyboard)$|^clock\.midi_port$|\.thru$/, "ports-in"]];

export class Settings {
  constructor(section, { live, sound, state, controls }) {
    Object.assign(this, { live, sound, state, controls });
    const page = section.appendChild(make("div", "page"));
    this.again = make("p", "again");
    this.again.hidden = true;
    const restart = make("button", "good", "Start again with these settings");
    restart.onclick = () => live.ask({ ask: "press", button: "restart" });
    this.again.append(make("span", "", "Changed settings hold from the next start. The piece goes on with its next note. "), restart);
    this.own = make("div");
    this.assigned = make("div");
    this.board = make("div");
    this.form = make("div");
    page.append(this.again, this.own, this.assigned, this.board, this.form);
    this.build_own();
    live.addEventListener("settings", ({ detail }) => this.show(detail));
    live.addEventListener("learning", ({ detail }) => this.learning(detail.control));
    live.addEventListener("learnt", ({ detail }) => (this.show(detail), this.say(detail.says)));
    live.addEventListener("calibrating", ({ detail }) => this.calibrating(detail));
    live.addEventListener("refused", ({ detail }) => this.say(detail.says));
    live.addEventListener("hello", () => this.shown());
  }

  shown() {
    this.live.ask({ ask: "settings" });
  }

  say(sentence) {
    if (this.says) this.says.textContent = sentence;
  }

  // --- this page

  build_own() {
    const volume = slider("Volume of this page", 0, 100, 80, (value) => this.sound.set_volume(value / 100));
    const delay = slider("Delay of this page's sound, ms", 50, 600, this.sound.delay_s * 1000, (value) => (this.sound.delay_s = value / 1000));
    const ports = make("select");
    ports.append(new Option("nowhere", ""));
    ports.onchange = () => this.sound.use_port(this.access?.outputs.get(ports.value) ?? null);
    const find = make("button", "", "Find MIDI ports");
    find.onclick = async () => {
      try {
        if (!navigator.requestMIDIAccess) throw new Error("this browser has no Web MIDI, or the page is not on this machine (browsers want localhost or https)");
        this.access = await navigator.requestMIDIAccess();
        const outputs = [...this.access.outputs.values()];
        ports.replaceChildren(new Option("nowhere", ""), ...outputs.map((port) => new Option(port.name, port.id)));
        if (!outputs.length) this.state.passing("This computer has no MIDI port: plug an instrument in and look again.");
      } catch (error) {
        this.state.passing(`No MIDI here: ${error.message}.`);
      }
    };
    this.own.append(
      make("h2", "", "This page"),
      make("p", "more", "The page can play the notes itself (Sound, above), and send them to a MIDI port of the computer it runs on. Both come a fixed moment after the box's own outputs, so that nothing is heard that might still change."),
      volume,
      delay,
      field("Notes of this page to", ports, find),
    );
  }

  // --- from the box

  show({ fields, assigned, learnable, ports, changed, board }) {
    this.show_ports(ports);
    this.again.hidden = !changed;
    this.show_assigned(assigned, learnable);
    if (board && !this.board.childElementCount) this.show_board();
    this.show_form(fields);
  }

  // The ports that are there now, offered where a port is named.
  show_ports(ports) {
    ports.forEach((names, n) => {
      const id = ["ports-out", "ports-in"][n];
      const list = document.getElementById(id) ?? this.own.appendChild(make("datalist"));
      list.id = id;
      list.replaceChildren(...["auto", "virtual", ...names].map((name) => new Option(name)));
    });
  }

  show_assigned(assigned, learnable) {
    const list = make("div", "assigned");
    assigned.forEach(([control, says], index) => {
      const row = make("div", "field");
      const forget = make("button", "", "Forget");
      forget.setAttribute("aria-label", `Forget: ${says} moves ${control}`);
      forget.onclick = () => this.live.ask({ ask: "forget", index, says });
      row.append(make("span", "", control), make("small", "", says), forget);
      list.append(row);
    });
    const choice = make("select");
    choice.append(...learnable.map((name) => new Option(name)));
    this.learn_button = make("button", "good", "Learn");
    this.learn_button.onclick = () => this.live.ask({ ask: "learn", control: this.waiting ? "" : choice.value });
    this.says = make("p", "says");
    this.says.setAttribute("role", "status");
    this.assigned.replaceChildren(
      make("h2", "", "What moves the controls"),
      make("p", "more", "Choose a control, press Learn and turn the knob, move the fader or press the key that shall move it from now on."),
      list,
      field("Control", choice, this.learn_button),
      this.says,
    );
    this.waiting = "";
  }

  learning(control) {
    this.waiting = control;
    this.learn_button.textContent = control ? "Stop learning" : "Learn";
    this.say(control ? `Now move what shall move ${control}.` : "");
  }

  show_board() {
    const choice = make("select");
    choice.append(...[1, 2, 3, 4].map((n) => new Option(`output ${n}`, n - 1)));
    const begin = make("button", "", "Calibrate");
    begin.onclick = () => {
      this.controls.set("freeze", "on");
      this.live.ask({ ask: "calibrate", channel: Number(choice.value) });
    };
    this.meter = make("div");
    this.board.append(
      make("h2", "", "The board's volts"),
      make("p", "more", "With a multimeter on an output: the music stands still, the board puts out eight voltages one after the other, and you type what the meter shows. A meter good to 1 mV makes pitches good to 1 cent."),
      field("Calibrate", choice, begin),
      this.meter,
    );
  }

  calibrating({ output, volts, step, steps, before_cents, after_cents, says }) {
    this.meter.replaceChildren();
    if (says) return this.meter.append(make("p", "more", says));
    const go = make("button", "good", volts === undefined ? "Store in the board" : "Next");
    const ask = (text) => this.live.ask({ ask: "volts", text });
    if (volts === undefined) {
      go.onclick = () => ask("");
      this.meter.append(field(`Output ${output}: off by ${before_cents} cents before, ${after_cents} now`, go));
      return;
    }
    const read = make("input");
    read.inputMode = "decimal";
    go.onclick = () => read.value.trim() && ask(read.value.trim().slice(0, 40));
    read.onkeydown = (event) => event.key === "Enter" && go.click();
    this.meter.append(field(`Output ${output}, ${step} of ${steps}: ${volts.toFixed(3)} V asked for; meter shows`, read, go));
    read.focus();
  }

  show_form(fields) {
    const sections = new Map();
    for (const f of fields) {
      const name = f.key.slice(0, f.key.lastIndexOf("."));
      sections.set(name, [...(sections.get(name) ?? []), f]);
    }
    const open = new Set([...this.form.querySelectorAll("details[open]")].map((d) => d.id));
    this.form.replaceChildren(
      make("h2", "", "Settings of the box"),
      make("p", "more", "Kept in noonsong.toml, with its comments."),
      ...[...sections].map(([name, list]) => {
        const details = make("details");
        details.id = `section-${name}`;
        details.open = open.has(details.id);
        details.append(make("summary", "", title(name)), ...list.map((f) => this.field_of(f)));
        return details;
      }),
    );
  }

  field_of(f) {
    const name = f.key.slice(f.key.lastIndexOf(".") + 1).replaceAll("_", " ");
    const set = (text) => this.live.ask({ ask: "set", key: f.key, text: String(text) });
    let input;
    if (f.kind === "choice") {
      input = make("select");
      input.append(...f.choices.map((text) => new Option(text)));
      input.value = f.value;
      input.onchange = () => set(input.value);
    } else if (f.kind === "switch") {
      input = make("input");
      input.type = "checkbox";
      input.checked = f.value;
      input.onchange = () => set(input.checked ? "on" : "off");
    } else {
      input = make("input");
      input.value = f.value;
      for (const [pattern, list] of PORTS) if (pattern.test(f.key)) input.setAttribute("list", list);
      if (f.low !== null) input.title = `${f.low} to ${f.high}`;
      input.onchange = () => set(input.value);
    }
    return field(name, input, make("small", "", f.help));
  }
}

function field(name, input, ...more) {
  const row = make("div", "field");
  if (input.tagName !== "BUTTON") input.setAttribute("aria-label", name);
  row.append(make("span", "", name), input, ...more);
  return row;
}

function slider(name, low, high, value, moved) {
  const input = make("input");
  Object.assign(input, { type: "range", min: low, max: high, value });
  input.oninput = () => moved(Number(input.value));
  return field(name, input);
}

const title = (name) => name.replace("midi.outputs.", "MIDI output ").replace(/\d+$/, (n) => String(Number(n) + 1)).replaceAll(".", " ");
