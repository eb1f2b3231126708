// The past: days and hours of the piece, looked at, played again, saved as a MIDI file.

import { make } from "./controls.js";
import { minutes } from "./replay.js";
import { COLOURS } from "./roll.js";

const AHEAD_S = 0.6;
const WHERE = { page: "in this page", instead: "by the box, the piece waits", beside: "by the box, beside the piece" };

export class Past {
  constructor(section, { live, sound, state, replay }) {
    Object.assign(this, { live, sound, state, replay });
    replay.onmove = () => this.follow();
    section.append((this.page = make("div", "page")));
    this.page.append(
      make("h2", "", "The past"),
      make("p", "more", "Every hour that was played is kept. Choose one to look at it, hear it again, here or from the box's own outputs, or save it as a MIDI file. Hearts are moments that somebody loved."),
      (this.excerpt = make("div")),
      (this.days = make("div")),
    );
    this.excerpt.id = "excerpt";
    this.excerpt.hidden = true;
    this.days.id = "days";
    this.build_excerpt();
    live.addEventListener("past", ({ detail }) => this.show(detail.hours));
    live.addEventListener("hello", () => this.shown());
  }

  shown() {
    this.live.ask({ ask: "past" });
  }

  build_excerpt() {
    this.title = make("h3");
    this.canvas = make("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.onclick = (event) => this.length && this.play((event.offsetX / this.canvas.clientWidth) * this.length);
    this.button = make("button", "good", "Play it again");
    this.button.onclick = () => (this.sounds ? this.stop() : this.play(0));
    this.where = make("select");
    this.where.setAttribute("aria-label", "Where it is played");
    this.where.append(...Object.entries(WHERE).map(([value, text]) => new Option(text, value)));
    this.where.onchange = () => this.stop();
    this.save = make("a", "", "Save as MIDI");
    const tools = make("div", "tools");
    tools.append(this.button, this.where, this.save);
    this.excerpt.append(this.title, this.canvas, tools);
  }

  show(hours) {
    const days = new Map();
    for (const hour of hours) {
      const day = hour.name.slice(0, 10);
      days.set(day, [...(days.get(day) ?? []), hour]);
    }
    const most = Math.max(1, ...hours.map((hour) => hour.notes));
    this.days.replaceChildren(...[...days].reverse().map(([day, list]) => this.day(day, list, most)));
    if (!hours.length) this.days.append(make("p", "hint", "Nothing was played yet."));
  }

  day(day, hours, most) {
    const row = make("div", "day");
    const bars = make("div", "hours");
    const by_hour = new Map(hours.map((hour) => [Number(hour.name.slice(11)), hour]));
    for (let h = 0; h < 24; h++) {
      const hour = by_hour.get(h);
      if (!hour) {
        bars.append(make("span"));
        continue;
      }
      const bar = make("button", hour.loved ? "loved" : "");
      const height = make("i");
      height.style.height = `${8 + (48 * hour.notes) / most}px`;
      bar.append(height);
      const says = `${day}, ${h} o'clock: ${hour.notes} notes, ${hour.loved} loved, ${hour.disliked} disliked`;
      bar.title = says;
      bar.setAttribute("aria-label", says);
      bar.setAttribute("aria-pressed", hour.name === this.chosen);
      bar.onclick = () => this.choose(hour.name, bar);
      bars.append(bar);
    }
    const save = make("a", "", "Save day");
    save.href = `/past/${day}.mid`;
    save.setAttribute("aria-label", `Save ${day} as MIDI`);
    const tools = make("div", "tools");
    tools.append(save);
    row.append(make("b", "", day), bars, tools);
    return row;
  }

  async choose(name, bar) {
    if (this.playing) this.stop();
    const answer = await fetch(`/past/${name}.json`);
    const excerpt = await answer.json();
    if (!answer.ok) return this.state.passing(excerpt.says);
    for (const other of this.days.querySelectorAll("[aria-pressed=true]")) other.setAttribute("aria-pressed", false);
    bar.setAttribute("aria-pressed", true);
    this.chosen = name;
    this.notes = excerpt.notes.map(([at_s, length_s, voice, pitch, velocity]) => ({ at_s, length_s, voice, pitch, velocity }));
    this.marks = excerpt.marks;
    this.length = Math.max(1, excerpt.length_s);
    this.title.textContent = `${o_clock(name)}: ${this.notes.length} notes, ${minutes(this.length)} minutes`;
    this.canvas.setAttribute("aria-label", this.title.textContent);
    this.save.href = `/past/${name}.mid`;
    this.excerpt.hidden = false;
    this.draw();
  }

  play(from_s) {
    if (this.where.value === "page") return this.play_here(from_s);
    this.live.ask({ ask: "play past", name: this.chosen, from_s, beside: this.where.value === "beside" });
  }

  play_here(from_s) {
    this.stop();
    if (!this.sound.on) document.getElementById("sound").click();
    this.sound.wait(true);
    const start_s = this.sound.context.currentTime + 0.1 - from_s;
    let next = this.notes.findIndex((n) => n.at_s >= from_s);
    this.playing = setInterval(() => {
      const now_s = this.sound.context.currentTime - start_s;
      while (next >= 0 && next < this.notes.length && this.notes[next].at_s < now_s + AHEAD_S) {
        const n = this.notes[next++];
        this.sound.orchestra.play(n.voice, n.pitch, n.velocity, start_s + n.at_s, Math.min(12, n.length_s));
      }
      this.draw(now_s);
      if (now_s > this.length + 1) this.stop();
    }, 100);
    this.show_button();
  }

  stop() {
    if (this.box) this.live.ask({ ask: "press", button: "end past" });
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = 0;
    this.sound.wait(false);
    this.show_button();
    this.draw();
  }

  // What the box itself plays of the past now; undefined: something else, or nothing.
  get box() {
    const past = this.replay.past;
    return past?.name === this.chosen ? past : undefined;
  }

  get sounds() {
    return Boolean(this.playing || this.box);
  }

  show_button() {
    this.button.textContent = this.sounds ? "Stop" : "Play it again";
  }

  // The box's own line through the notes; called while it plays, and once after.
  follow() {
    this.show_button();
    if (this.canvas.offsetParent && this.notes && !this.playing) this.draw(this.box ? this.live.now_s() - this.box.begun_s : -1);
  }

  draw(now_s = -1) {
    const { canvas, notes, length } = this;
    const scale = Math.min(devicePixelRatio || 1, 2);
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    for (const n of notes) {
      pen.globalAlpha = 0.35 + n.velocity / 200;
      pen.fillStyle = COLOURS[n.voice];
      pen.fillRect((n.at_s / length) * width, height - ((n.pitch - 20) / 90) * height, Math.max(1, (n.length_s / length) * width), 2);
    }
    pen.globalAlpha = 1;
    for (const [at_s, kind] of this.marks) {
      pen.fillStyle = kind === "loved" ? "#ff8fc7" : "#a3abbb";
      pen.font = "14px system-ui";
      pen.fillText(kind === "loved" ? "♥" : "✕", (at_s / length) * width - 6, 14);
    }
    if (now_s >= 0) {
      pen.fillStyle = "#ffb43a";
      pen.fillRect((now_s / length) * width, 0, 2, height);
    }
  }
}

const o_clock = (name) => `${name.slice(0, 10)}, ${Number(name.slice(11))} o'clock`;
