// Teensy 4.0: micros() and an interval timer that is set anew for every alarm. Compiled by nobody yet.
#if defined(ARDUINO_TEENSY40)
#include "board_clock.h"

#include <Arduino.h>
#include <IntervalTimer.h>

#include "lock.h"

namespace board_clock {
namespace {

constexpr int32_t kNearestUs = 3;
constexpr int32_t kFarthestUs = 16000;

IntervalTimer alarm;
volatile uint32_t alarm_us;
Handler handler;

void Fire();

void Arm(uint32_t us) {
  alarm_us = us;
  int32_t ahead_us = static_cast<int32_t>(us - micros());
  if (ahead_us < kNearestUs) ahead_us = kNearestUs;
  if (ahead_us > kFarthestUs) ahead_us = kFarthestUs;
  alarm.begin(Fire, static_cast<uint32_t>(ahead_us));
}

void Fire() {
  alarm.end();
  Arm(handler());
}

}  // namespace

void Begin(Handler new_handler) {
  Lock lock;
  handler = new_handler;
  Arm(micros() + kFarthestUs);
}

uint32_t NowUs() { return micros(); }

void WakeTimer(uint32_t us) {
  Lock lock;
  if (static_cast<int32_t>(us - alarm_us) < 0) Arm(us);
}

void Stop() { alarm.end(); }

}  // namespace board_clock
#endif
