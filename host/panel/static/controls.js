// The controls, drawn from the box's own table: knobs, choices, switches. The box knows the curves; here a
// knob is a position from 0 to 1.

const MAIN = ["temperature", "density"];
const ELSEWHERE = ["freeze", "morph"]; // among the transport, beside the presets
const DRAG_PX = 220; // for the whole way
const HELD_MS = 350; // after a turn by hand, echoes of it are not drawn
const ARC = 0.75; // of a circle

export class Controls {
  constructor(live, areas) {
    Object.assign(this, { live, areas, state: {}, table: [], widgets: {} });
    live.addEventListener("whole", ({ detail }) => {
      this.build(detail.table);
      this.show(detail.controls, true);
    });
    live.addEventListener("frame", ({ detail }) => detail.controls && this.show(detail.controls, false));
  }

  build(table) {
    if (JSON.stringify(table) === JSON.stringify(this.table)) return;
    this.table = table;
    this.widgets = {};
    for (const area of Object.values(this.areas)) area.replaceChildren();
    for (const row of table) {
      if (ELSEWHERE.includes(row.name)) continue;
      const main = MAIN.includes(row.name);
      const kind = { knob: Knob, choice: Choice, switch: Switch }[row.kind];
      const widget = new kind(row, (message) => this.ask(row.name, message), main);
      this.widgets[row.name] = widget;
      this.areas[main ? "main" : "rest"].append(widget.element);
    }
  }

  show(controls, begin) {
    for (const [name, state] of Object.entries(controls)) {
      const before = this.state[name];
      this.state[name] = state;
      this.widgets[name]?.show(state, !begin && before && before.who !== state.who ? true : !begin, this.live.who);
    }
    this.onchange?.();
  }

  ask(control, message) {
    this.live.ask({ control, ...message });
  }

  // One step up or down, as by a key.
  step(name, direction) {
    const widget = this.widgets[name];
    if (widget) widget.step(direction);
  }

  // Where on its way a knob stands for a value, from the points that the box gave.
  position_of(name, value) {
    const { values } = this.widgets[name].row;
    const above = values.findIndex((v) => v !== null && v >= value);
    if (above < 0) return 1;
    const low = values[above - 1];
    if (above === 0 || low === null) return above / (values.length - 1);
    return (above - 1 + (value - low) / (values[above] - low)) / (values.length - 1);
  }

  value(name) {
    return this.state[name]?.value;
  }

  set(name, text) {
    this.live.ask({ ask: "enter", control: name, text: String(text) });
  }
}

// What every widget has: a name, a value in words, and who moved it.
class Widget {
  constructor(row, ask, main) {
    Object.assign(this, { row, ask });
    this.element = make("div", `control ${row.kind}${main ? " main" : ""}`);
    this.element.dataset.control = row.name;
    this.name = make("span", "name", label(row.name));
    this.name.id = `name-${row.name}`;
    this.name.title = row.help;
    this.who = make("span", "who");
  }

  // `moved`: somebody turned it just now.
  show_who(state, moved, me) {
    const mine = state.who === me;
    this.who.textContent = state.who && !["start", "command line"].includes(state.who) ? (mine ? "you" : state.who) : "";
    this.element.classList.toggle("by-other", Boolean(state.who) && !mine);
    if (moved) {
      this.element.classList.remove("moved");
      void this.element.offsetWidth; // restarts the animation
      this.element.classList.add("moved");
    }
  }
}

export class Knob extends Widget {
  constructor(row, ask, main) {
    super(row, ask, main);
    this.position = 0;
    this.turned_ms = -Infinity;
    this.dial = make("div", "dial");
    this.dial.tabIndex = 0;
    for (const [key, value] of Object.entries({
      role: "slider", "aria-labelledby": this.name.id, "aria-valuemin": 0, "aria-valuemax": 100,
      "aria-orientation": "vertical", title: `${row.help}\n${row.range}\ndouble-click: default; Enter: type a value`,
    })) this.dial.setAttribute(key, value);
    this.dial.innerHTML =
      '<svg viewBox="0 0 100 100" aria-hidden="true"><g transform="rotate(135 50 50)">' +
      '<circle class="track" cx="50" cy="50" r="40" pathLength="100" stroke-dasharray="75 100"/>' +
      '<circle class="value" cx="50" cy="50" r="40" pathLength="100"/>' +
      (row.name === "density" ? '<circle class="heard" cx="50" cy="50" r="47.5" pathLength="100"/>' : "") +
      '</g><circle class="cap" cx="50" cy="50" r="31"/><line class="pointer" x1="50" y1="' + (main ? 19 : 24) + '" x2="50" y2="' + (main ? 25 : 33) + '"/></svg>';
    this.arc = this.dial.querySelector(".value");
    this.heard_arc = this.dial.querySelector(".heard");
    this.pointer = this.dial.querySelector(".pointer");
    this.text = make("output", "value-text");
    this.element.append(this.dial, this.text, this.name, this.who);
    this.listen();
  }

  listen() {
    const dial = this.dial;
    dial.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      dial.setPointerCapture(event.pointerId);
      dial.focus({ preventScroll: true });
      this.drag = { x: event.clientX, y: event.clientY, position: this.position };
      event.preventDefault();
    });
    dial.addEventListener("pointermove", (event) => {
      if (!this.drag) return;
      const way = this.drag.y - event.clientY + (event.clientX - this.drag.x) * 0.5;
      if (Math.abs(way) < 2 && !this.drag.moving) return;
      this.drag.moving = true;
      this.turn(this.drag.position + (way / DRAG_PX) * (event.shiftKey ? 0.2 : 1));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      dial.addEventListener(end, () => (this.drag = null));
    }
    dial.addEventListener("dblclick", () => this.ask({ ask: "reset" }));
    dial.addEventListener("wheel", (event) => {
      event.preventDefault();
      const notch = event.deltaMode ? event.deltaY * 30 : event.deltaY;
      this.turn(this.position - notch * (event.shiftKey ? 0.00005 : 0.00025) * (this.row.choices.length ? 2 : 1));
    }, { passive: false });
    dial.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const fine = event.shiftKey ? 0.25 : 1;
    const way = { ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01, PageUp: 0.1, PageDown: -0.1 }[event.key];
    if (way) this.turn(this.position + way * fine);
    else if (event.key === "Home") this.turn(0);
    else if (event.key === "End") this.turn(1);
    else if (event.key === "Delete" || event.key === "Backspace") this.ask({ ask: "reset" });
    else if (event.key === "Enter" || /^[0-9]$/.test(event.key)) this.type(event.key === "Enter" ? "" : event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // A value typed in full.
  type(begun) {
    const field = make("input", "typed");
    field.value = begun;
    field.setAttribute("aria-label", `${this.row.name}: ${this.row.range}`);
    field.placeholder = this.row.optional ? "number or auto" : "number";
    const close = (take) => {
      field.onblur = null;
      if (take && field.value.trim()) this.ask({ ask: "enter", text: field.value.slice(0, 40) });
      field.remove();
      this.dial.focus();
    };
    field.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key === "Enter") close(true);
      else if (event.key === "Escape") close(false);
    };
    field.onblur = () => close(false);
    this.element.append(field);
    field.focus();
  }

  step(direction) {
    if (!this.row.choices.length) return this.turn(this.position + direction * 0.02);
    // From name to name.
    const at = this.value === null ? -1 : Math.round(this.value);
    const next = Math.min(at + direction, this.row.choices.length - 1);
    this.ask({ ask: "enter", text: next < 0 && this.row.optional ? "auto" : String(Math.max(0, next)) });
  }

  turn(position) {
    this.turned_ms = performance.now();
    this.draw(Math.min(1, Math.max(0, position)));
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.ask({ ask: "turn", position: this.position });
    });
  }

  show(state, moved, me) {
    this.value = state.value;
    const held = performance.now() - this.turned_ms < HELD_MS && state.who === me;
    if (!held && !(this.drag?.moving && state.who === me)) this.draw(state.position);
    this.text.textContent = shortened(state.text, this.row);
    this.text.classList.toggle("long", this.text.textContent.length > 4);
    this.dial.setAttribute("aria-valuetext", state.text);
    this.show_who(state, moved, me);
    this.element.classList.toggle("auto", state.value === null);
    if (this.row.name === "source") this.show_mix(state.mix ?? {});
  }

  draw(position) {
    this.position = position;
    const angle = (position - 0.5) * 270;
    this.arc.setAttribute("stroke-dasharray", `${position * ARC * 100} 200`);
    this.pointer.setAttribute("transform", `rotate(${angle.toFixed(1)} 50 50)`);
    this.dial.setAttribute("aria-valuenow", Math.round(position * 100));
  }

  // What came out, as a thin arc outside; the box says where on the knob's way that is.
  show_heard(position) {
    this.heard_arc?.setAttribute("stroke-dasharray", `${Math.max(0, position) * ARC * 100} 200`);
  }

  show_mix(mix) {
    this.mix ??= this.element.insertBefore(make("span", "mix"), this.name);
    this.mix.replaceChildren(
      ...Object.entries(mix).map(([name, share]) => {
        const part = make("i");
        part.style.flexGrow = share;
        part.title = `${name} ${Math.round(share * 100)} %`;
        return part;
      }),
    );
  }
}

class Choice extends Widget {
  constructor(row, ask) {
    super(row, ask);
    this.select = make("select");
    this.select.setAttribute("aria-labelledby", this.name.id);
    this.select.title = row.help;
    const choices = row.optional ? ["auto", ...row.choices] : row.choices;
    this.select.append(...choices.map((text) => new Option(text, text)));
    this.select.onchange = () => this.ask({ ask: "enter", text: this.select.value });
    this.element.append(this.select, this.name, this.who);
  }

  step(direction) {
    const count = this.select.options.length;
    this.select.selectedIndex = (this.select.selectedIndex + direction + count) % count;
    this.select.onchange();
  }

  show(state, moved, me) {
    this.select.value = state.text;
    this.show_who(state, moved, me);
  }
}

class Switch extends Widget {
  constructor(row, ask) {
    super(row, ask);
    this.button = make("button", "toggle", label(row.name));
    this.button.title = row.help;
    this.button.onclick = () => this.step();
    this.element.append(this.button, this.who);
  }

  step() {
    this.ask({ ask: "enter", text: this.on ? "off" : "on" });
  }

  show(state, moved, me) {
    this.on = Boolean(state.value);
    this.button.setAttribute("aria-pressed", this.on);
    this.show_who(state, moved, me);
  }
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

const label = (name) => name.replaceAll("_", " ").replace("top p", "top-p");

// A mix is shown by its larger part; the bar below it shows the whole.
function shortened(text, row) {
  const mix = row.choices.length ? text.match(/^(.+) (\d+)% (.+) (\d+)%$/) : null;
  if (mix) return Number(mix[2]) >= Number(mix[4]) ? mix[1] : mix[3];
  return text.replace(` ${row.unit}`, "");
}
