// Teensy 4.0: its first watchdog at one second. Compiled by nobody yet.
#if defined(ARDUINO_TEENSY40)
#include "watchdog.h"

#include <Arduino.h>

namespace watchdog {

void Begin(void (*)()) {
  CCM_CCGR3 |= CCM_CCGR3_WDOG1(CCM_CCGR_ON);
  WDOG1_WMCR = 0;
  WDOG1_WCR = WDOG_WCR_WT(1) | WDOG_WCR_SRS | WDOG_WCR_WDE;
}

void Pat() {
  WDOG1_WSR = 0x5555;
  WDOG1_WSR = 0xAAAA;
}

uint8_t ResetCause() {
  const uint32_t cause = SRC_SRSR;
  if (cause & (1u << 4)) return 1 << 3;  // watchdog
  return cause & 1u ? 1 << 0 : 1 << 1;
}

}  // namespace watchdog
#endif
