// The piano roll: played to the left of the line, final and planned to its right, and the plan being rewritten.

import { pitch_name } from "./music.js";

export const COLOURS = ["#c6ccd6", "#ff7a6b", "#ffce5c", "#7fe08f", "#58c4ff", "#a894ff", "#ff8fc7"];
const PLAYER = "#ffffff"; // notes that somebody else played
const LINE_AT = 0.56; // of the width
const DRUM_ROWS = [[35, 36], [37, 40], [41, 50], [42, 46], [49, 59], [0, 127]];
const LEAST_PITCHES = 26; // two octaves are seen at least
const FIT_MS = 350;
const FADE_MS = 650;
const SWEEP_MS = 420;

export class Roll {
  constructor(canvas, music, live) {
    Object.assign(this, { canvas, music, live, low: 40, high: 80, delay_s: 0, weighing: false, frames: 0, drawn_ms: -Infinity });
    this.pen = canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("pointermove", (event) => (this.pointer = [event.offsetX, event.offsetY]));
    canvas.addEventListener("pointerleave", () => (this.pointer = null));
    this.resize();
  }

  resize() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth, clientHeight } = this.canvas;
    this.width = clientWidth;
    this.height = clientHeight;
    this.canvas.width = Math.max(1, Math.round(clientWidth * scale));
    this.canvas.height = Math.max(1, Math.round(clientHeight * scale));
    this.pen.setTransform(scale, 0, 0, scale, 0, 0);
    this.beat_px = Math.max(46, Math.min(96, clientWidth / 15));
    this.most_drum_px = Math.min(54, clientHeight * 0.16);
    this.drum_px ??= 0;
  }

  // Ticks at the line now: what is heard, when the page itself sounds.
  tick() {
    return this.music.tick_at(this.live.now_s() - this.delay_s);
  }

  x_of(tick, now) {
    return this.width * LINE_AT + ((tick - now) / this.music.ppqn) * this.beat_px;
  }

  y_of(pitch) {
    const space = this.height - this.drum_px - 8;
    return 4 + ((this.high + 0.5 - pitch) / (this.high - this.low + 1)) * space;
  }

  get row_px() {
    return (this.height - this.drum_px - 8) / (this.high - this.low + 1);
  }

  draw() {
    const { music, pen } = this;
    this.frames++;
    if (!music.clock || Number.isNaN(this.live.now_s()) || !this.width) return;
    const now = this.tick();
    const half = (this.width / this.beat_px) * music.ppqn;
    const first = now - half * LINE_AT - 96;
    const last = now + half * (1 - LINE_AT);
    const seen = music.notes.filter((n) => n.tick + n.duration > first && n.tick < last);
    const at_ms = performance.now();
    this.fit(seen, 1 - Math.exp((this.drawn_ms - at_ms) / FIT_MS));
    this.drawn_ms = at_ms;
    this.draw_backdrop();
    this.draw_bars(now, now - half * LINE_AT, last);
    for (const ghost of music.ghosts) this.draw_ghost(ghost, now, at_ms);
    if (music.ghosts.length && at_ms - music.ghosts[0].died > FADE_MS) music.ghosts = [];
    for (const n of seen) if (n.voice >= 0) this.draw_note(n, now, at_ms);
    if (this.weighing) this.draw_weighed(seen, now);
    this.draw_sweep(now, at_ms);
    this.draw_line(now);
    if (this.weighing && this.pointer) this.draw_hint(seen, now);
  }

  // The range of pitches follows the music by a share of the way, slowly.
  fit(seen, share) {
    let low = 127;
    let high = 0;
    const drums = seen.some((n) => n.voice === 0) ? this.most_drum_px : 0;
    this.drum_px += (drums - this.drum_px) * share;
    for (const n of seen) {
      if (n.voice > 0) {
        low = Math.min(low, n.pitch);
        high = Math.max(high, n.pitch);
      }
    }
    if (low > high) return;
    const spare = Math.max(3, (LEAST_PITCHES - (high - low)) / 2);
    low -= spare;
    high += spare;
    this.low += (low - this.low) * share;
    this.high += (high - this.high) * share;
  }

  draw_backdrop() {
    const { pen } = this;
    pen.globalAlpha = 1;
    pen.fillStyle = "#0b0c10";
    pen.fillRect(0, 0, this.width, this.height);
    pen.fillStyle = "#101218";
    pen.fillRect(0, 0, this.width * LINE_AT, this.height);
    pen.font = "600 11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    for (let pitch = Math.ceil(this.low); pitch <= this.high; pitch++) {
      if (pitch % 12) continue;
      const y = this.y_of(pitch) + this.row_px / 2;
      pen.fillStyle = "#1d212b";
      pen.fillRect(0, y, this.width, 1);
      pen.fillStyle = "#7d8698";
      pen.fillText(pitch_name(pitch), 8, this.y_of(pitch));
    }
    pen.fillStyle = "#1d212b";
    pen.fillRect(0, this.height - this.drum_px - 2, this.width, 1);
  }

  draw_bars(now, first, last) {
    const { pen, music } = this;
    for (let i = 0; i < music.meters.length; i++) {
      const { tick, bar_ticks } = music.meters[i];
      const end = Math.min(last, music.meters[i + 1]?.tick ?? Infinity);
      const beat = bar_ticks % music.ppqn ? music.ppqn / 2 : music.ppqn;
      let at = tick + Math.ceil((Math.max(first, tick) - tick) / beat) * beat;
      for (; at < end; at += beat) {
        const bar = (at - tick) % bar_ticks === 0;
        const x = Math.round(this.x_of(at, now));
        pen.fillStyle = bar ? "#333a49" : "#191c24";
        pen.fillRect(x, 0, 1, this.height);
        if (bar) {
          pen.fillStyle = "#7d8698";
          pen.fillText(String((at - tick) / bar_ticks + 1), x + 5, 10);
        }
      }
    }
    for (const n of music.notes) {
      if (n.voice < 0 && n.tick > first && n.tick < last) this.draw_phrase(this.x_of(n.tick, now));
    }
  }

  draw_phrase(x) {
    const { pen } = this;
    pen.fillStyle = "#ffb43a";
    pen.globalAlpha = 0.7;
    pen.fillRect(Math.round(x) - 1, 0, 2, this.height);
    pen.fillText("new phrase", x + 6, 24);
    pen.globalAlpha = 1;
  }

  box(n, now) {
    const x = this.x_of(n.tick, now);
    const width = Math.max(4, (n.duration / this.music.ppqn) * this.beat_px - 1.5);
    if (n.voice > 0) {
      const height = Math.max(3.5, Math.min(16, this.row_px - 1));
      return [x, this.y_of(n.pitch) - height / 2, width, height];
    }
    const row = DRUM_ROWS.findIndex(([low, high]) => low <= n.pitch && n.pitch <= high);
    const height = this.drum_px / DRUM_ROWS.length;
    return [x, this.height - (row + 1) * height, Math.max(5, height), Math.max(1, height - 2)];
  }

  draw_note(n, now, at_ms) {
    const { pen } = this;
    const [x, y, width, height] = this.box(n, now);
    if (x > this.width || x + width < 0) return;
    const loud = 0.45 + (0.55 * n.velocity) / 127;
    pen.fillStyle = pen.strokeStyle = n.heard ? PLAYER : COLOURS[n.voice];
    const sounding = n.tick <= now && now < n.tick + n.duration;
    if (n.tick <= now) {
      const age = (now - n.tick - n.duration) / this.music.ppqn;
      if (sounding && this.music.running) {
        pen.globalAlpha = 0.22;
        rounded(pen, x - 5, y - 5, width + 10, height + 10, 8);
        pen.fill();
      }
      pen.globalAlpha = sounding ? 1 : loud * Math.max(0.4, 1 - age / 14);
      rounded(pen, x, y, width, height, 3);
      pen.fill();
      if (sounding) {
        pen.globalAlpha = 0.75;
        pen.fillStyle = "#fff";
        const done = Math.min(width, this.x_of(now, now) - x);
        rounded(pen, x, y + height * 0.3, done, height * 0.4, 1.5);
        pen.fill();
      }
    } else {
      const final = n.position <= this.music.final;
      const far = Math.max(0.45, 1 - (n.tick - now) / this.music.ppqn / 9);
      const fresh = Math.max(0, 1 - (at_ms - n.born) / FADE_MS);
      pen.globalAlpha = final ? loud : far * (0.2 + 0.6 * fresh);
      rounded(pen, x, y, width, height, 3);
      pen.fill();
      pen.globalAlpha = final ? 1 : far * (0.62 + 0.38 * fresh);
      pen.lineWidth = 1 + fresh * 1.5;
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  // What was planned and will not be: it falls away.
  draw_ghost(n, now, at_ms) {
    const gone = (at_ms - n.died) / FADE_MS;
    if (gone >= 1 || n.tick <= now) return;
    const { pen } = this;
    const [x, y, width, height] = this.box(n, now);
    pen.globalAlpha = 0.75 * (1 - gone);
    pen.strokeStyle = COLOURS[n.voice];
    pen.lineWidth = 1;
    pen.setLineDash([3, 3]);
    rounded(pen, x, y + gone * gone * 26, width, height, 3);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  // A light that runs over the future from where it is written anew.
  draw_sweep(now, at_ms) {
    const rewritten = this.music.rewritten;
    if (!rewritten || at_ms - rewritten.at > SWEEP_MS) return;
    const { pen } = this;
    const done = (at_ms - rewritten.at) / SWEEP_MS;
    const from = Math.max(this.width * LINE_AT, this.x_of(rewritten.tick, now));
    const x = from + (this.width - from) * done;
    const light = pen.createLinearGradient(x - 120, 0, x, 0);
    light.addColorStop(0, "rgba(255,180,58,0)");
    light.addColorStop(1, `rgba(255,180,58,${0.3 * (1 - done)})`);
    pen.fillStyle = light;
    pen.fillRect(Math.max(from, x - 120), 0, Math.min(120, x - from), this.height);
  }

  draw_line(now) {
    const { pen } = this;
    const x = Math.round(this.width * LINE_AT);
    const inside = this.music.place(now).inside;
    pen.fillStyle = "#ffb43a";
    pen.globalAlpha = this.music.running ? 0.18 + 0.3 * (1 - inside) ** 3 : 0.1;
    pen.fillRect(x - 3, 0, 7, this.height);
    pen.globalAlpha = 1;
    pen.fillRect(x, 0, 2, this.height);
  }

  draw_weighed(seen, now) {
    const { pen, music } = this;
    const onsets = [...new Set(seen.map((n) => n.tick))];
    const height = Math.max(2.5, Math.min(8, this.row_px * 0.55));
    pen.font = "600 10px system-ui, sans-serif";
    let labelled_to = -Infinity;
    for (const n of seen) {
      const rows = n.tick > now && music.weighed.get(n.position);
      if (!rows) continue;
      const [x] = this.box(n, now);
      if (x > this.width) continue;
      // Certainty fills the room up to the next onset.
      const next = onsets[onsets.indexOf(n.tick) + 1] ?? Infinity;
      const full = Math.min(this.beat_px, this.x_of(next, now) - x) - 3;
      for (const [voice, pitch, chance] of rows) {
        if (voice === 0 || n.voice === 0) continue;
        const y = this.y_of(pitch);
        const chosen = voice === n.voice && pitch === n.pitch;
        pen.fillStyle = chosen ? "#ffffff" : COLOURS[voice];
        if (!chosen && chance < 0.03) continue;
        pen.globalAlpha = chosen ? 0.95 : 0.6;
        pen.fillRect(x, y - height / 2, Math.max(2, chance * full), height);
        if (chosen && chance >= 0.05 && x > labelled_to && full > 20) {
          pen.fillText(`${pitch_name(pitch)} ${Math.round(chance * 100)}%`, x, y - this.row_px - 5);
          labelled_to = x + 46;
        }
      }
      pen.globalAlpha = 1;
    }
  }

  // All that was weighed for the note under the pointer.
  draw_hint(seen, now) {
    const { pen, music } = this;
    const [px, py] = this.pointer;
    const near = seen.find((n) => {
      const [x, y, width, height] = this.box(n, now);
      return music.weighed.has(n.position) && px > x - 6 && px < x + width + 6 && py > y - 8 && py < y + height + 8;
    });
    if (!near) return;
    const rows = music.weighed.get(near.position);
    const x = Math.min(px + 14, this.width - 150);
    const y = Math.min(Math.max(4, py - rows.length * 9), this.height - rows.length * 18 - 14);
    pen.fillStyle = "#1a1e28";
    pen.strokeStyle = "#3d4556";
    rounded(pen, x, y, 144, rows.length * 18 + 10, 6);
    pen.fill();
    pen.stroke();
    rows.forEach(([voice, pitch, chance], i) => {
      pen.fillStyle = COLOURS[voice];
      pen.globalAlpha = 0.3;
      pen.fillRect(x + 6, y + 7 + i * 18, 132 * chance, 14);
      pen.globalAlpha = 1;
      pen.fillText(`${music.voices[voice].name} ${pitch_name(pitch)}`, x + 10, y + 14 + i * 18);
      pen.fillText(`${(chance * 100).toFixed(0)} %`, x + 104, y + 14 + i * 18);
    });
  }
}

function rounded(pen, x, y, width, height, radius) {
  pen.beginPath();
  pen.roundRect(x, y, Math.max(0.5, width), height, Math.min(radius, height / 2));
}
