// A device that the box does not know asks for the code that the box shows.

import { make } from "./controls.js";

export function pair(dialog, live) {
  if (dialog.open) return;
  const form = make("form", "pair");
  const field = make("input");
  Object.assign(field, { inputMode: "numeric", maxLength: 6, autocomplete: "one-time-code", required: true });
  field.setAttribute("aria-label", "pairing code");
  const says = make("p", "says", "");
  says.setAttribute("role", "alert");
  const go = make("button", "good", "Pair");
  form.append(make("h2", "", "Pair this device"), make("p", "", "Type the six digits that noonsong shows in its terminal."), make("p", "more", "No screen there? The light on its board tells them, over and over: after a long light, each digit as so many blinks (ten for a zero), with a pause between."), field, says, go);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const answer = await fetch("/pair", { method: "POST", body: field.value.trim() });
    const { says: text } = await answer.json();
    if (answer.ok) {
      dialog.close();
      live.connect();
    } else {
      says.textContent = text;
      field.select();
    }
  };
  dialog.replaceChildren(form);
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
  field.focus();
}
