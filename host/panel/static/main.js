// Joins everything; reads as a list of what is on the page.

import { Controls, make } from "./controls.js";
import { press } from "./keys.js";
import { Live } from "./live.js";
import { Music } from "./music.js";
import { Presets } from "./presets.js";
import { Replay } from "./replay.js";
import { COLOURS, Roll } from "./roll.js";
import { Sound } from "./sound.js";
import { State } from "./state.js";

const $ = (id) => document.getElementById(id);
const live = new Live();
const music = new Music(live);
const roll = new Roll($("roll"), music, live);
const controls = new Controls(live, { main: $("main-knobs"), rest: $("knobs") });
const sound = new Sound(music, live);
const state = new State(live, $("faults"), $("state"));
const presets = new Presets(live, $("preset-list"), $("morph"), $("keep"), ask_name);
const replay = new Replay(live, $("past-bar"));
const views = {};
export const panel = { live, music, roll, controls, sound, state, presets, replay };

// --- buttons

const button = (name) => () => live.ask({ ask: "press", button: name });
$("freeze").onclick = () => controls.set("freeze", controls.value("freeze") ? "off" : "on");
$("phrase").onclick = button("phrase");
$("rest").onclick = () => live.ask({ ask: "press", button: state.state?.resting ? "wake" : "rest" });
$("panic").onclick = () => (sound.silence(), button("panic")());
$("tap").onclick = tap;
$("loved").onclick = () => mark("loved");
$("disliked").onclick = () => mark("disliked");
$("weigh").onclick = () => {
  roll.weighing = !roll.weighing;
  $("weigh").setAttribute("aria-pressed", roll.weighing);
  live.ask({ ask: "weigh", on: roll.weighing });
};
$("full").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
$("sound").onclick = () => {
  sound.switch(!sound.on);
  $("sound").setAttribute("aria-pressed", sound.on);
};
sound.onsilent = (silent) => state.fault("sound", silent ? "This browser's sound does not start: has this computer a loudspeaker that is switched on, and may the page play?" : "");
addEventListener("keydown", (event) => press(event, panel, $));

let taps = [];
function tap() {
  const now = performance.now();
  if (taps.length && now - taps.at(-1) > 2500) taps = [];
  taps = [...taps.slice(-7), now];
  flash($("tap"));
  if (taps.length < 3) return;
  const bpm = (60000 * (taps.length - 1)) / (taps.at(-1) - taps[0]);
  if (bpm >= 20 && bpm <= 300) controls.set("tempo", bpm.toFixed(1));
}

function mark(kind) {
  const tick = Math.max(0, Math.floor(roll.tick()));
  if (Number.isNaN(tick)) return;
  live.ask({ ask: "mark", kind, tick });
  flash($(kind));
}

function flash(element) {
  element.classList.remove("flash");
  void element.offsetWidth;
  element.classList.add("flash");
}

// --- pages

for (const link of document.querySelectorAll("[data-view]")) link.onclick = () => show_view(link.dataset.view);

async function show_view(name) {
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== `view-${name}`;
  for (const link of document.querySelectorAll("[data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "past") views.past ??= new (await import("./past.js")).Past($("view-past"), panel);
  if (name === "settings") views.settings ??= new (await import("./settings.js")).Settings($("view-settings"), panel);
  views[name]?.shown?.();
}

// --- what comes from the box

live.addEventListener("hello", ({ detail }) => {
  document.body.classList.remove("away");
  document.body.classList.toggle("spectator", detail.role === "spectator");
  if (roll.weighing) live.ask({ ask: "weigh", on: true });
});
live.addEventListener("away", () => document.body.classList.add("away"));
live.addEventListener("whole", () => {
  $("legend").replaceChildren(
    ...music.voices.map(({ name }, i) => {
      const item = make("span", "voice", name);
      item.style.setProperty("--colour", COLOURS[i]);
      return item;
    }),
  );
});
live.addEventListener("pair", async () => (await import("./pairing.js")).pair($("dialog"), live));
controls.onchange = () => {
  const frozen = Boolean(controls.value("freeze"));
  $("freeze").setAttribute("aria-pressed", frozen);
  document.body.classList.toggle("frozen", frozen);
};

// --- every frame

const BUSY_MS = 12;
let beats = "";
let slow = 0;
let draw_ms = 0;
let waited = 0;
function frame(now_ms) {
  requestAnimationFrame(frame);
  if (!music.clock) return;
  roll.delay_s = sound.active ? sound.delay_s : 0;
  // A machine that draws slowly draws every second or third frame, so that knobs and sound have their time.
  if (!$("view-play").hidden && ++waited > draw_ms / BUSY_MS) {
    waited = 0;
    roll.draw();
    draw_ms += (performance.now() - now_ms - draw_ms) * 0.1;
  }
  const tick = roll.tick();
  if (Number.isNaN(tick)) return;
  const place = music.place(tick);
  const shown = `${place.bar} ${place.beat} ${place.beats}`;
  if (shown !== beats) {
    beats = shown;
    set_text($("bar"), place.bar);
    $("beats").setAttribute("aria-label", `beat ${place.beat + 1} of ${place.beats}`);
    $("beats").replaceChildren(...Array.from({ length: place.beats }, (_, n) => make("i", n === place.beat ? "now" : "")));
  }
  if (now_ms - slow > 200) {
    slow = now_ms;
    set_text($("tempo"), Number(music.tempo_bpm.toFixed(1)));
    show_heard(music.density_heard(tick));
    $("rest").setAttribute("aria-pressed", Boolean(state.state?.resting));
    document.body.classList.toggle("resting", Boolean(state.state?.resting));
  }
}
requestAnimationFrame(frame);

function show_heard(heard) {
  const knob = controls.widgets.density;
  if (!knob) return;
  knob.heard ??= knob.element.appendChild(make("span", "heard-text"));
  set_text(knob.heard, `heard ${heard.toFixed(1)}`);
  knob.show_heard(controls.position_of("density", heard));
}

function set_text(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

// A small question with a name for an answer; further buttons answer with their number.
function ask_name(title, name, ...others) {
  const dialog = $("dialog");
  dialog.replaceChildren();
  const form = make("form");
  form.method = "dialog";
  const field = make("input");
  field.value = name;
  field.maxLength = 40;
  field.setAttribute("aria-label", "name");
  const buttons = [["ok", "Keep"], ...others.map((text, n) => [String(n), text]), ["", "Cancel"]].map(([value, text]) => {
    const choice = make("button", value === "ok" ? "good" : "", text);
    choice.value = value;
    return choice;
  });
  const row = make("div", "row");
  row.append(...buttons);
  form.append(make("h2", "", title), field, row);
  dialog.append(form);
  dialog.returnValue = "";
  dialog.showModal();
  field.select();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const answer = dialog.returnValue;
      resolve(answer === "ok" ? { name: field.value.trim() } : { other: answer === "" ? undefined : Number(answer), typed: field.value.trim() });
    };
  });
}
