// Presets: kept, named, recalled at once or by and by.

import { make } from "./controls.js";

const SLOTS = 128;
const SAME_S = 0.06; // a time shown among the choices as it is

export class Presets {
  constructor(live, list, morph, keep, ask_name) {
    Object.assign(this, { live, list, morph, ask_name, rows: { slots: [], recalled: null, morphing: false } });
    morph.onchange = () => live.ask({ ask: "enter", control: "morph", text: morph.value });
    const take = ({ detail }) => {
      if (detail.presets) this.show(detail.presets);
      if (detail.controls?.morph) this.show_morph(detail.controls.morph);
    };
    live.addEventListener("whole", take);
    live.addEventListener("frame", take);
    keep.onclick = () => this.keep();
    this.show(this.rows);
  }

  show(rows) {
    this.rows = rows;
    const chips = rows.slots.map(([slot, name]) => {
      const chip = make("button", "preset");
      chip.append(make("kbd", "", String(slot + 1)), make("b", "", name));
      chip.title = "click: go there; right-click or Delete: rename or forget it";
      const here = slot === rows.recalled;
      chip.setAttribute("aria-pressed", here);
      chip.classList.toggle("morphing", here && rows.morphing);
      chip.onclick = () => this.recall(slot);
      chip.oncontextmenu = (event) => (event.preventDefault(), this.edit(slot, name));
      chip.onkeydown = (event) => event.key === "Delete" && this.edit(slot, name);
      return chip;
    });
    this.list.replaceChildren(...(chips.length ? chips : [make("span", "hint", "Presets: turn the knobs, then “Keep this”.")]));
  }

  // A knob may have left the time between the choices.
  show_morph({ value, text }) {
    this.morph.querySelector("[data-between]")?.remove();
    let option = [...this.morph.options].find((o) => Math.abs(Number(o.value) - value) < SAME_S);
    if (!option) {
      this.morph.append((option = new Option(text, value)));
      option.dataset.between = "";
    }
    option.selected = true;
  }

  recall(slot) {
    if (this.rows.slots.some(([there]) => there === slot)) {
      this.live.ask({ ask: "recall", slot });
    }
  }

  async keep() {
    const taken = new Set(this.rows.slots.map(([slot]) => slot));
    const slot = Array.from({ length: SLOTS }, (_, n) => n).find((n) => !taken.has(n));
    if (slot === undefined) return;
    const { name } = await this.ask_name("Keep the controls as they stand", `Preset ${slot + 1}`);
    if (name) this.live.ask({ ask: "save", slot, name });
  }

  async edit(slot, name) {
    const answer = await this.ask_name(`Preset ${slot + 1}`, name, "Forget it", "Keep the controls here");
    if (answer.other === 0) this.live.ask({ ask: "delete", slot });
    else if (answer.other === 1) this.live.ask({ ask: "save", slot, name: answer.typed || name });
    else if (answer.name) this.live.ask({ ask: "rename", slot, name: answer.name });
  }
}
