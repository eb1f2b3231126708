// The keyboard, as in the terminal: small letters turn down, capital letters up.

const TURNS = { t: "temperature", d: "density", c: "thickness", r: "rhythm", p: "pitch", s: "source" };
const PRESSES = { " ": "freeze", n: "phrase", x: "panic", b: "tap", l: "loved", k: "disliked", w: "weigh", a: "sound", f: "full" };

export function press(event, { controls, presets }, $) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const at = event.target;
  if (at.matches?.("input, select, textarea") || at.closest?.("dialog")) return;
  if (event.key === " " && at.matches?.("button, a, summary")) return; // it is the button that is pressed
  const key = event.key;
  const low = key.toLowerCase();
  if (TURNS[low] && key.length === 1) controls.step(TURNS[low], key === low ? -1 : 1);
  else if (key === "-") controls.step("tempo", -1);
  else if (key === "+" || key === "=") controls.step("tempo", 1);
  else if (key === "m") controls.step("meter", 1);
  else if (/^[1-9]$/.test(key)) presets.recall(Number(key) - 1);
  else if (PRESSES[key]) $(PRESSES[key]).click();
  else return;
  event.preventDefault();
}
