#if defined(__AVR__)
#include "watchdog.h"

#include <Arduino.h>
#include <avr/wdt.h>

namespace watchdog {
namespace {

constexpr uint8_t kRestarted = 0xA5;

void (*make_safe)();
uint8_t cause;
uint8_t reset_flags __attribute__((section(".noinit")));
uint8_t restart_mark __attribute__((section(".noinit")));

}  // namespace

// Before anything else: a watchdog left running after a reset would fire again within 16 ms.
void DisarmEarly() __attribute__((naked, used, section(".init3")));
void DisarmEarly() {
  reset_flags = MCUSR;
  MCUSR = 0;
  wdt_disable();
}

void Begin(void (*new_make_safe)()) {
  make_safe = new_make_safe;
  // Hardware flags are zero after a restart of our own, and with bootloaders that clear them.
  cause = reset_flags != 0 ? reset_flags : (restart_mark == kRestarted ? _BV(WDRF) : 0);
  restart_mark = 0;
  cli();
  wdt_reset();
  // 250 ms, interrupt first and reset should that not get through.
  WDTCSR = _BV(WDCE) | _BV(WDE);
  WDTCSR = _BV(WDIE) | _BV(WDE) | _BV(WDP2);
  sei();
}

void Pat() { wdt_reset(); }

uint8_t ResetCause() { return cause; }

}  // namespace watchdog

ISR(WDT_vect) {
  watchdog::make_safe();
  watchdog::restart_mark = watchdog::kRestarted;
#if defined(USBCON)
  for (;;) {  // the reset follows; USB must go down with it
  }
#else
  // The bootloader of older Nanos cannot live with a watchdog reset, so the program starts again by itself.
  wdt_reset();
  WDTCSR |= _BV(WDCE) | _BV(WDE);
  WDTCSR = 0;
  __asm__ __volatile__("jmp 0");
#endif
}
#endif
