// Simple voices for each instrument family and the drums: enough to hear the piece by, without any gear.

const hertz = (pitch) => 440 * 2 ** ((pitch - 69) / 12);

// Everything goes through one gentle limiter and a little room.
export class Orchestra {
  constructor(context) {
    this.context = context;
    this.out = context.createGain();
    const limiter = context.createDynamicsCompressor();
    limiter.threshold.value = -14;
    limiter.ratio.value = 8;
    this.out.connect(limiter);
    // The room: two echoes that feed each other, dulled. (A convolution would cost a small machine dearly.)
    const echoes = [0.047, 0.061].map((seconds) => new DelayNode(context, { delayTime: seconds, maxDelayTime: 0.1 }));
    const dull = new BiquadFilterNode(context, { type: "lowpass", frequency: 2400 });
    this.out.connect(new GainNode(context, { gain: 0.22 })).connect(echoes[0]);
    echoes[0].connect(echoes[1]).connect(dull).connect(new GainNode(context, { gain: 0.55 })).connect(echoes[0]);
    for (const echo of echoes) echo.connect(limiter);
    this.analyser = context.createAnalyser();
    limiter.connect(this.analyser).connect(context.destination);
    this.noise = noise_of(context);
    this.sounding = new Set();
  }

  set volume(share) {
    this.out.gain.value = share * share * 1.2;
  }

  // A note at a time of the context, in seconds.
  play(voice, pitch, velocity, at_s, length_s) {
    const loud = (velocity / 127) ** 1.6;
    const sound = voice === 0 ? this.drum(pitch, loud, at_s) : this.tone(RECIPES[voice], pitch, loud, at_s, length_s);
    if (sound) {
      this.sounding.add(sound);
      sound.source.onended = () => this.sounding.delete(sound);
    }
  }

  // End everything that sounds or waits, at a time.
  silence(at_s = this.context.currentTime) {
    for (const { gain, source } of this.sounding) {
      gain.gain.cancelScheduledValues(at_s);
      gain.gain.setTargetAtTime(0, at_s, 0.03);
      source.stop(at_s + 0.25);
    }
    this.sounding.clear();
  }

  tone(recipe, pitch, loud, at_s, length_s) {
    const { context } = this;
    const gain = context.createGain();
    const filter = context.createBiquadFilter();
    const { attack, decay, sustain, release } = recipe;
    const top = loud * recipe.gain * (pitch > 72 ? 0.8 : 1);
    const off_s = at_s + Math.max(length_s, attack + 0.02);
    gain.gain.setValueAtTime(0, at_s);
    gain.gain.linearRampToValueAtTime(top, at_s + attack);
    gain.gain.setTargetAtTime(top * sustain, at_s + attack, decay);
    gain.gain.setTargetAtTime(0, off_s, release);
    filter.type = "lowpass";
    const open = Math.min(14000, hertz(pitch) * recipe.bright * (0.6 + loud));
    filter.frequency.setValueAtTime(open, at_s);
    filter.frequency.setTargetAtTime(Math.max(hertz(pitch) * 1.5, open * recipe.darken), at_s + attack, decay);
    filter.connect(gain).connect(this.out);
    const end_s = off_s + release * 6;
    let source;
    for (const [shape, ratio, cents, level] of recipe.parts) {
      source = context.createOscillator();
      source.type = shape;
      source.frequency.value = hertz(pitch) * ratio;
      source.detune.value = cents;
      const part = context.createGain();
      part.gain.value = level;
      source.connect(part).connect(filter);
      source.start(at_s);
      source.stop(end_s);
    }
    return { gain, source };
  }

  drum(pitch, loud, at_s) {
    const { context } = this;
    const [kind, frequency, length, level] = DRUMS[pitch] ?? ["noise", 3000, 0.08, 0.4];
    const gain = context.createGain();
    gain.gain.setValueAtTime(loud * level, at_s);
    gain.gain.exponentialRampToValueAtTime(0.0008, at_s + length);
    gain.connect(this.out);
    let source;
    if (kind === "noise") {
      source = context.createBufferSource();
      source.buffer = this.noise;
      const filter = context.createBiquadFilter();
      filter.type = frequency > 4000 ? "highpass" : "bandpass";
      filter.frequency.value = frequency;
      source.connect(filter).connect(gain);
      source.start(at_s, Math.abs(pitch * 0.37) % 0.5, length);
    } else {
      source = context.createOscillator();
      source.frequency.setValueAtTime(frequency * 2.2, at_s);
      source.frequency.exponentialRampToValueAtTime(frequency, at_s + 0.06);
      source.connect(gain);
      source.start(at_s);
      source.stop(at_s + length);
      if (kind === "both") this.drum(-1, loud * 0.8, at_s);
    }
    return { gain, source };
  }
}

// By voice: drums (none), bass, keys, plucked, strings, winds, voice.
const RECIPES = [
  null,
  { parts: [["sawtooth", 1, 0, 0.5], ["sine", 1, 0, 0.7]], gain: 0.34, attack: 0.008, decay: 0.3, sustain: 0.6, release: 0.05, bright: 7, darken: 0.4 },
  { parts: [["triangle", 1, 0, 0.8], ["sine", 2, 3, 0.25], ["sine", 4, -2, 0.08]], gain: 0.3, attack: 0.004, decay: 0.5, sustain: 0.18, release: 0.09, bright: 9, darken: 0.45 },
  { parts: [["sawtooth", 1, 0, 0.4], ["triangle", 1, 4, 0.6]], gain: 0.3, attack: 0.002, decay: 0.22, sustain: 0.06, release: 0.12, bright: 12, darken: 0.15 },
  { parts: [["sawtooth", 1, -7, 0.35], ["sawtooth", 1, 7, 0.35], ["sine", 1, 0, 0.2]], gain: 0.2, attack: 0.06, decay: 0.4, sustain: 0.85, release: 0.14, bright: 5, darken: 0.8 },
  { parts: [["triangle", 1, 0, 0.8], ["sine", 2, 5, 0.15], ["square", 1, -3, 0.06]], gain: 0.27, attack: 0.035, decay: 0.3, sustain: 0.8, release: 0.07, bright: 6, darken: 0.8 },
  { parts: [["triangle", 1, -6, 0.5], ["sawtooth", 1, 6, 0.18], ["sine", 2, 0, 0.1]], gain: 0.24, attack: 0.07, decay: 0.4, sustain: 0.85, release: 0.12, bright: 4, darken: 0.9 },
];

// General MIDI drums: [noise, tone or both; hertz; seconds; level].
const DRUMS = { "-1": ["noise", 1800, 0.16, 0.5] };
for (const [pitches, sound] of [
  [[35, 36], ["tone", 52, 0.32, 0.95]],
  [[38, 40], ["both", 180, 0.14, 0.45]],
  [[37], ["noise", 1900, 0.05, 0.6]],
  [[39], ["noise", 1300, 0.16, 0.6]],
  [[42, 44], ["noise", 8200, 0.06, 0.32]],
  [[46], ["noise", 7600, 0.32, 0.3]],
  [[49, 52, 55, 57], ["noise", 5200, 1.1, 0.32]],
  [[51, 53, 59], ["noise", 6800, 0.5, 0.24]],
  [[54, 69, 70, 82], ["noise", 9000, 0.09, 0.3]],
]) for (const pitch of pitches) DRUMS[pitch] = sound;
[41, 43, 45, 47, 48, 50].forEach((pitch, i) => (DRUMS[pitch] = ["tone", 75 + i * 18, 0.3, 0.7]));
[60, 61, 62, 63, 64, 65, 66].forEach((pitch, i) => (DRUMS[pitch] = ["tone", 320 - i * 28, 0.16, 0.5]));
[56, 67, 68, 75, 76, 77, 80, 81].forEach((pitch, i) => (DRUMS[pitch] = ["tone", 900 - i * 60, 0.1, 0.28]));

function noise_of(context) {
  const buffer = context.createBuffer(1, context.sampleRate, context.sampleRate);
  const samples = buffer.getChannelData(0);
  for (let i = 0; i < samples.length; i++) samples[i] = Math.random() * 2 - 1;
  return buffer;
}
