// Timer 1 at 2 MHz: its overflow counts the time on, its compare match is the alarm.
#if defined(__AVR__)
#include "board_clock.h"

#include <Arduino.h>

#include "lock.h"

namespace board_clock {
namespace {

constexpr uint16_t kUsPerOverflow = 32768;
constexpr uint16_t kFarthestUs = 16000;  // within half an overflow: later alarms are set again then
constexpr uint8_t kNearestTicks = 8;     // a compare value must still lie ahead once it is written
// The handler waits for the exact time itself: this covers the way to it, other interrupts included.
constexpr uint8_t kEarlyUs = 20;

volatile uint32_t base_us;
volatile uint32_t alarm_us;
Handler handler;

void Arm(uint32_t us) {
  alarm_us = us;
  const uint32_t now_us = NowUs();
  int32_t ahead_us = static_cast<int32_t>(us - now_us) - kEarlyUs;
  if (ahead_us > kFarthestUs) ahead_us = kFarthestUs;
  if (ahead_us <= kNearestTicks / 2) {
    OCR1A = TCNT1 + kNearestTicks;
  } else {
    // The base is a multiple of the timer's period, so its low bits are the counter's.
    OCR1A = static_cast<uint16_t>((now_us + static_cast<uint32_t>(ahead_us)) << 1);
  }
  TIFR1 = _BV(OCF1A);
}

}  // namespace

void Begin(Handler new_handler) {
  Lock lock;
  handler = new_handler;
  TIMSK0 = 0;  // Arduino's millis() is not used here: one interrupt less to be late for
  TCCR1A = 0;
  TCCR1B = _BV(CS11);
  TCNT1 = 0;
  TIFR1 = _BV(TOV1) | _BV(OCF1A);
  TIMSK1 = _BV(TOIE1) | _BV(OCIE1A);
  Arm(kFarthestUs);
}

uint32_t NowUs() {
  Lock lock;
  const uint16_t ticks = TCNT1;
  uint32_t us = base_us;
  if ((TIFR1 & _BV(TOV1)) && ticks < 0x8000) us += kUsPerOverflow;
  return us + (ticks >> 1);
}

void WakeTimer(uint32_t us) {
  Lock lock;
  if (static_cast<int32_t>(us - alarm_us) < 0) Arm(us);
}

void Stop() { TIMSK1 = 0; }

}  // namespace board_clock

ISR(TIMER1_OVF_vect) { board_clock::base_us += board_clock::kUsPerOverflow; }

// Serial bytes and gate edges may interrupt this: 500000 baud leaves them two byte times of patience, less
// than four voltages take. It cannot interrupt itself, because the next match is set only at its end.
ISR(TIMER1_COMPA_vect) {
  sei();
  const uint32_t next_us = board_clock::handler();
  cli();
  board_clock::Arm(next_us);
}
#endif
