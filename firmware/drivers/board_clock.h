// Microseconds since start (wrapping) and one alarm, from a hardware timer.
#pragma once
#include <stdint.h>

namespace board_clock {

// Called from the timer interrupt, other interrupts on; returns when it wants to be called next.
using Handler = uint32_t (*)();

void Begin(Handler handler);
uint32_t NowUs();
// Makes the alarm no later than `us`.
void WakeTimer(uint32_t us);
void Stop();

}  // namespace board_clock
