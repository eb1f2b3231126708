// What the box plays of its past: said on every page of the panel, with a way to end it.

import { make } from "./controls.js";

export class Replay {
  constructor(live, bar) {
    Object.assign(this, { live, bar, past: null, onmove: () => {} });
    this.says = make("span");
    this.says.setAttribute("role", "status");
    this.time = make("span", "time");
    const line = make("p");
    line.append(this.says, this.time);
    const end = make("button", "", "Stop");
    end.setAttribute("aria-label", "Stop playing the past");
    end.onclick = () => live.ask({ ask: "press", button: "end past" });
    bar.append(line, end);
    const take = ({ detail }) => detail.past !== undefined && this.show(detail.past);
    live.addEventListener("whole", take);
    live.addEventListener("frame", take);
  }

  show(past) {
    this.past = past;
    this.bar.hidden = !past;
    document.body.classList.toggle("waiting", Boolean(past && !past.beside));
    clearInterval(this.timer);
    if (past) this.timer = setInterval(() => this.tell(), 250);
    this.tell();
  }

  tell() {
    if (this.past) {
      const { name, begun_s, from_s, length_s, beside } = this.past;
      const at_s = Math.min(length_s, Math.max(from_s, this.live.now_s() - begun_s));
      const when = name.replace("T", ", ") + (name.includes("T") ? " o'clock" : "");
      const sentence = `The box plays its past, ${when}. ${beside ? "The piece plays on beside it." : "The piece waits, and goes on after it."}`;
      if (this.says.textContent !== sentence) this.says.textContent = sentence; // told once, not with every second
      this.time.textContent = `${minutes(at_s)} of ${minutes(length_s)}`;
    }
    this.onmove();
  }
}

export const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
