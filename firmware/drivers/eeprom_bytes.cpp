#include "eeprom_bytes.h"

#include <Arduino.h>
#include <EEPROM.h>

namespace eeprom_bytes {

bool Ready() {
#if defined(__AVR__)
  return eeprom_is_ready();
#else
  return true;
#endif
}

uint8_t Read(uint8_t address) { return EEPROM.read(address); }

void Write(uint8_t address, uint8_t byte) { EEPROM.write(address, byte); }

}  // namespace eeprom_bytes
