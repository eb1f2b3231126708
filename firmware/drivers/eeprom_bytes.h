// EEPROM a byte at a time, never waiting for a write under way.
#pragma once
#include <stdint.h>

namespace eeprom_bytes {

bool Ready();
uint8_t Read(uint8_t address);
void Write(uint8_t address, uint8_t byte);

}  // namespace eeprom_bytes
