// The past: days and hours of the piece, looked at, played again, saved as a MIDI file.

import { make } from "./controls.js";
import { COLOURS } from "./roll.js";

const AHEAD_S = 0.6;

export class Past {
  constructor(section, { live, sound, music, state }) {
    Object.assign(this, { live, sound, music, state });
    section.append((this.page = make("div", "page")));
    this.page.append(
      make("h2", "", "The past"),
      make("p", "more", "Every hour that was played is kept. Choose one to look at it, hear it again here, or save it as a MIDI file. Hearts are moments that somebody loved."),
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
    this.button.onclick = () => (this.playing ? this.stop() : this.play(0));
    this.save = make("a", "", "Save as MIDI");
    const tools = make("div", "tools");
    tools.append(this.button, this.save);
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
    this.stop();
    const answer = await fetch(`/past/${name}.json`);
    const excerpt = await answer.json();
    if (!answer.ok) return this.state.passing(excerpt.says);
    for (const other of this.days.querySelectorAll("[aria-pressed=true]")) other.setAttribute("aria-pressed", false);
    bar.setAttribute("aria-pressed", true);
    this.chosen = name;
    this.notes = timed(excerpt, this.music.ppqn);
    this.marks = excerpt.marks.map(([tick, kind]) => [seconds_of(excerpt.tempos, this.music.ppqn)(tick), kind]);
    this.length = Math.max(1, ...this.notes.map((n) => n.at_s + n.length_s));
    this.title.textContent = `${name.slice(0, 10)}, ${name.slice(11)} o'clock: ${this.notes.length} notes, ${Math.round(this.length / 60)} minutes`;
    this.canvas.setAttribute("aria-label", this.title.textContent);
    this.save.href = `/past/${name}.mid`;
    this.excerpt.hidden = false;
    this.draw();
  }

  async play(from_s) {
    this.stop();
    if (!this.sound.context) await this.sound.switch(true).then(() => (document.getElementById("sound").ariaPressed = "true"));
    await this.sound.context.resume();
    this.sound.wait(true);
    const start_s = this.sound.context.currentTime + 0.1 - from_s;
    let next = this.notes.findIndex((n) => n.at_s >= from_s);
    this.button.textContent = "Stop";
    this.playing = setInterval(() => {
      const now_s = this.sound.context.currentTime - start_s;
      while (next >= 0 && next < this.notes.length && this.notes[next].at_s < now_s + AHEAD_S) {
        const n = this.notes[next++];
        this.sound.orchestra.play(n.voice, n.pitch, n.velocity, start_s + n.at_s, Math.min(12, n.length_s));
      }
      this.draw(now_s);
      if (now_s > this.length + 1) this.stop();
    }, 100);
  }

  stop() {
    if (!this.playing) return;
    clearInterval(this.playing);
    this.playing = 0;
    this.button.textContent = "Play it again";
    this.sound.wait(false);
    this.draw();
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

// Ticks to seconds through the changes of tempo.
function seconds_of(tempos, ppqn) {
  const points = [];
  let at_s = 0;
  for (const [i, [tick, bpm]] of tempos.entries()) {
    if (i) at_s += ((tick - tempos[i - 1][0]) * 60) / (tempos[i - 1][1] * ppqn);
    points.push({ tick, at_s, per_tick: 60 / (bpm * ppqn) });
  }
  if (!points.length) points.push({ tick: 0, at_s: 0, per_tick: 60 / (96 * ppqn) });
  return (tick) => {
    let point = points[0];
    for (const p of points) if (p.tick <= tick) point = p;
    return point.at_s + (tick - point.tick) * point.per_tick;
  };
}

function timed({ notes, tempos }, ppqn) {
  const at = seconds_of(tempos, ppqn);
  return notes.map(([tick, voice, pitch, velocity, duration]) => ({
    voice, pitch, velocity, at_s: at(tick), length_s: at(tick + duration) - at(tick),
  }));
}
