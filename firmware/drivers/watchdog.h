// Restarts the board when the main loop stops turning.
#pragma once
#include <stdint.h>

namespace watchdog {

void Begin(void (*make_safe)());  // make_safe: called from the interrupt before the restart
void Pat();
uint8_t ResetCause();  // bit 0 power-on, 1 reset pin, 2 brown-out, 3 watchdog; 0: the bootloader hid it

}  // namespace watchdog
