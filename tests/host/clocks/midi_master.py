"""A sequencer as a process of its own: MIDI clock through JACK, with its transport, under a plan from stdin.

Each line: a tempo and a number of pulses, or start, stop, continue, position N, wait S. Prints the monotonic time
of each message, in order.
"""

import sys
import time

from tests.host.jack import Sender


def main(name: str) -> None:
    sender = Sender(name)
    print("ready", flush=True)
    next_s = time.monotonic()

    def say(*message: int) -> None:
        now_s = time.monotonic()
        sender.send(*message)
        print(message[0], now_s, flush=True)

    for line in sys.stdin:
        word, *rest = line.split()
        if word == "wait":
            time.sleep(float(rest[0]))
        elif word == "position":
            say(0xF2, int(rest[0]) & 0x7F, int(rest[0]) >> 7)
        elif word in ("start", "stop", "continue"):
            say({"start": 0xFA, "continue": 0xFB, "stop": 0xFC}[word])
            next_s = time.monotonic() + 0.003
        else:
            next_s = max(next_s, time.monotonic() - 0.05)
            for _ in range(int(rest[0])):
                time.sleep(max(0.0, next_s - time.monotonic()))
                say(0xF8)
                next_s += 60 / float(word) / 24
    sender.close()


if __name__ == "__main__":
    main(sys.argv[1])
