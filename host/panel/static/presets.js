// Presets: kept, named, recalled at once or by and by.

import { make } from "./controls.js";

const SLOTS = 128;

export class Presets {
  constructor(live, list, morph, keep, ask_name) {
    Object.assign(this, { live, list, morph, ask_name, rows: { slots: [], recalled: null, morphing: false } });
    const take = ({ detail }) => detail.presets && this.show(detail.presets);
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

  recall(slot) {
    if (this.rows.slots.some(([there]) => there === slot)) {
      this.live.ask({ ask: "recall", slot, over_s: Number(this.morph.value) });
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
