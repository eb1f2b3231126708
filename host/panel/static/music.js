// What the page knows of the music: notes played, final and planned, the clock's line, the bars.

const KEPT = 900;
const HEARD_BEATS = 8;

export class Music {
  constructor(live) {
    this.live = live;
    this.ppqn = 24;
    this.voices = [];
    this.clear();
    live.addEventListener("whole", ({ detail }) => this.begin(detail));
    live.addEventListener("frame", ({ detail }) => this.go_on(detail));
  }

  clear() {
    this.notes = []; // by position
    this.ghosts = []; // planned once, and dropped
    this.final = 0;
    this.meters = []; // [tick, bar_ticks]
    this.clock = null;
    this.rewritten = null; // where the plan was cut last, and when
    this.weighed = new Map();
  }

  begin(whole) {
    const same = this.piece === whole.piece;
    const meters = this.meters;
    this.clear();
    if (same) this.meters = meters;
    this.piece = whole.piece;
    this.ppqn = whole.ppqn;
    this.voices = whole.voices.map(([name, low, high, program]) => ({ name, low, high, program }));
    this.clock = whole.clock;
    this.notes = whole.notes.map((row) => note(row, -1e9));
    this.final = whole.final;
    this.set_meter(whole.meter);
    this.keep_weighed(whole.weighed);
  }

  go_on(frame) {
    if (!this.clock) return;
    this.clock = frame.clock;
    const now = performance.now();
    if (frame.cut !== undefined) this.cut(frame.cut, now);
    for (const row of frame.notes ?? []) this.notes.push(note(row, now));
    if (frame.cut !== undefined) this.keep_what_stayed();
    this.final = frame.final;
    if (frame.meter) this.set_meter(frame.meter);
    this.keep_weighed(frame.weighed);
    if (this.notes.length > KEPT + 200) this.notes.splice(0, this.notes.length - KEPT);
  }

  cut(position, now) {
    const at = this.notes.findIndex((n) => n.position > position);
    if (at < 0) return;
    const dropped = this.notes.splice(at);
    for (const n of dropped) n.died = now;
    this.ghosts = dropped.filter((n) => n.voice >= 0);
    this.rewritten = { tick: dropped[0].tick, at: now };
  }

  // What was chosen again as it was before is not new to the eye.
  keep_what_stayed() {
    const key = (n) => `${n.tick} ${n.voice} ${n.pitch}`;
    const before = new Map(this.ghosts.map((n) => [key(n), n]));
    for (let i = this.notes.length - 1; i >= 0 && this.notes[i].born === this.rewritten?.at; i--) {
      const old = before.get(key(this.notes[i]));
      if (old) {
        this.notes[i].born = old.born;
        before.delete(key(this.notes[i]));
      }
    }
    this.ghosts = [...before.values()];
  }

  keep_weighed(weighed) {
    for (const [position, rows] of Object.entries(weighed ?? {})) this.weighed.set(+position, rows);
    while (this.weighed.size > 600) this.weighed.delete(this.weighed.keys().next().value);
  }

  set_meter([tick, bar_ticks]) {
    this.meters = this.meters.filter((m) => m.tick < tick);
    this.meters.push({ tick, bar_ticks });
    if (this.meters.length > 50) this.meters.shift();
  }

  tick_at(box_s) {
    if (!this.clock) return NaN;
    const [tick, at_s, speed, running] = this.clock;
    return running ? tick + (box_s - at_s) * speed : tick;
  }

  time_of(tick) {
    const [at_tick, at_s, speed] = this.clock;
    return at_s + (tick - at_tick) / speed;
  }

  get running() {
    return Boolean(this.clock?.[3]);
  }

  get tempo_bpm() {
    return (this.clock[2] * 60) / this.ppqn;
  }

  meter_at(tick) {
    let found = this.meters[0];
    for (const m of this.meters) if (m.tick <= tick) found = m;
    return found;
  }

  // Bar (from 1), beat in it (from 0), beats in a bar, and how far into the beat.
  place(tick) {
    const m = this.meter_at(tick);
    const beat_ticks = m.bar_ticks % this.ppqn ? this.ppqn / 2 : this.ppqn;
    const since = Math.max(0, tick - m.tick);
    const inside = since % m.bar_ticks;
    return {
      bar: Math.floor(since / m.bar_ticks) + 1,
      beat: Math.floor(inside / beat_ticks),
      beats: Math.round(m.bar_ticks / beat_ticks),
      inside: (inside % beat_ticks) / beat_ticks,
    };
  }

  // Onsets a beat over the last beats.
  density_heard(tick) {
    const from = tick - HEARD_BEATS * this.ppqn;
    const onsets = new Set();
    for (let i = this.notes.length - 1; i >= 0 && this.notes[i].tick > from; i--) {
      if (this.notes[i].tick <= tick && this.notes[i].voice >= 0) onsets.add(this.notes[i].tick);
    }
    return onsets.size / HEARD_BEATS;
  }
}

// `heard`: somebody else played it, on a keyboard.
function note([position, tick, voice, pitch, velocity, duration, heard], born) {
  return { position, tick, voice, pitch, velocity, duration, heard, born };
}

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
export const pitch_name = (pitch) => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
