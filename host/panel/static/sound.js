// The page sounds: final notes, each at the box's own time and a fixed moment later, so that a note that is
// still being thought about is never heard wrongly. By Web Audio, and to a Web MIDI port.

import { Orchestra } from "./voices.js";

const FIRST_DELAY_S = 0.1;
const LONGEST_DELAY_S = 0.6;
const SPARE_S = 0.02;
const SETTLING_S = 1.5;
const STARTING_MS = 2500;
const CALM_S = 5; // without a late note, and a little of the delay is taken back
const DRUM_CHANNEL = 9;

export class Sound {
  constructor(music, live) {
    Object.assign(this, { music, live, on: false, delay_s: FIRST_DELAY_S, port: null, late: 0, sent: 0, held: new Map() });
    this.told = 0; // the position up to which notes were handed on
    live.addEventListener("frame", ({ detail }) => this.follow(detail));
    live.addEventListener("whole", ({ detail }) => {
      this.told = this.music.final;
      this.panics = detail.panics;
    });
    live.addEventListener("away", () => this.silence());
  }

  get active() {
    return this.on || this.port !== null;
  }

  // Must be called by a click: browsers want one.
  switch(on) {
    if (on && !this.context) {
      this.context = new AudioContext({ latencyHint: "interactive" });
      this.orchestra = new Orchestra(this.context);
      this.orchestra.volume = this.volume ?? 0.8;
      this.context.onstatechange = () => {
        this.since_s = this.live.now_s();
        this.check();
      };
    }
    // Nobody waits for it: without a sound device that would be for ever.
    if (on) this.context.resume();
    else this.context?.suspend();
    this.on = on;
    this.since_s = this.live.now_s();
    this.told = this.music.final;
    if (!on) this.orchestra?.silence();
    setTimeout(() => this.check(), STARTING_MS);
  }

  get running() {
    return this.on && this.context.state === "running";
  }

  // Somebody wants to hear, and cannot.
  check() {
    this.onsilent?.(this.on && !this.running);
  }

  // Something else is played by the same voices: the live notes wait.
  wait(waits) {
    this.waits = waits;
    this.silence();
  }

  set_volume(share) {
    this.volume = share;
    if (this.orchestra) this.orchestra.volume = share;
  }

  use_port(port) {
    this.silence_port();
    this.port = port;
    this.since_s = this.live.now_s();
    this.told = this.music.final;
    if (port) {
      this.music.voices.forEach((voice, i) => i && port.send([0xc0 | channel_of(i), voice.program]));
    }
  }

  follow(frame) {
    const running = this.music.running;
    if (this.was_running && !running) this.silence_at(this.music.clock[1] + this.delay_s);
    this.was_running = running;
    if (frame.panics > this.panics) this.silence();
    this.panics = frame.panics ?? this.panics;
    if (!this.active || this.waits) return void (this.told = this.music.final);
    const { notes, final } = this.music;
    const due = [];
    for (let i = notes.length - 1; i >= 0 && notes[i].position > this.told; i--) {
      if (notes[i].position <= final && notes[i].voice >= 0 && !notes[i].heard) due.push(notes[i]);
    }
    this.told = final;
    // One look at each clock for all: what belongs together sounds together.
    const now = { box_s: this.live.now_s(), page_ms: performance.now(), audio_s: this.context?.currentTime };
    for (const note of due.reverse()) this.play(note, now);
  }

  play(note, now) {
    const speed = this.music.clock[2];
    const now_s = now.box_s;
    let in_s = this.music.time_of(note.tick) + this.delay_s - now_s;
    if (in_s < 0.002) {
      if (now_s - this.since_s < SETTLING_S) return; // the browser was busy starting
      // Too late to be in time: from now on a little more time is left.
      this.late++;
      this.late_s = now_s;
      this.delay_s = Math.min(LONGEST_DELAY_S, this.delay_s - in_s + SPARE_S);
      in_s = 0.002;
    } else if (this.delay_s > FIRST_DELAY_S && now_s - this.late_s > CALM_S) {
      this.late_s = now_s;
      this.delay_s = Math.max(FIRST_DELAY_S, this.delay_s - 0.01);
    }
    const length_s = Math.min(12, note.duration / speed);
    this.sent++;
    if (this.running) {
      const latency_s = this.context.outputLatency || 0;
      const at_s = now.audio_s + Math.max(0.001, in_s - latency_s);
      this.orchestra.play(note.voice, note.pitch, note.velocity, at_s, length_s);
    }
    if (this.port) this.send(note, now.page_ms + in_s * 1000, length_s * 1000);
  }

  send(note, at_ms, length_ms) {
    const channel = channel_of(note.voice);
    const key = channel * 128 + note.pitch;
    const number = (this.held.get(key)?.number ?? 0) + 1;
    // A note struck again while it sounds ends first.
    if ((this.held.get(key)?.until_ms ?? 0) > at_ms) this.port.send([0x80 | channel, note.pitch, 0], at_ms);
    this.port.send([0x90 | channel, note.pitch, note.velocity], at_ms);
    this.held.set(key, { number, until_ms: at_ms + length_ms });
    const port = this.port;
    // The end is handed on when it is near, so that a later note of the same pitch can take its place.
    setTimeout(() => {
      if (this.held.get(key)?.number !== number) return;
      this.held.delete(key);
      port.send([0x80 | channel, note.pitch, 0], at_ms + length_ms);
    }, Math.max(0, at_ms + length_ms - performance.now() - 15));
  }

  silence_at(box_s) {
    const in_s = Math.max(0, box_s - this.live.now_s());
    if (this.on) this.orchestra.silence(this.context.currentTime + in_s);
    if (this.port) setTimeout(() => this.silence_port(), in_s * 1000);
  }

  silence() {
    this.orchestra?.silence();
    this.silence_port();
  }

  silence_port() {
    if (!this.port) return;
    for (const key of this.held.keys()) this.port.send([0x80 | (key >> 7), key & 127, 0]);
    this.held.clear();
    for (let channel = 0; channel < 16; channel++) this.port.send([0xb0 | channel, 123, 0]);
  }
}

// As the box does: drums on channel 10, the other families from 1 upwards.
export const channel_of = (voice) => (voice === 0 ? DRUM_CHANNEL : voice - 1);
