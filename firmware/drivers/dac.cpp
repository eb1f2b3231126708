#include "dac.h"

#include <SPI.h>

#include "pin_port.h"
#include "../pins.h"

namespace dac {
namespace {

// The high byte of a DAC word.
constexpr uint8_t kSecondOutput = 0x80;
constexpr uint8_t kGainTwoActive = 0x10;  // gain bit clear: 0 to 4.095 V; shutdown bit set: output on

PinPort first;
PinPort second;

}  // namespace

void Begin() {
  for (uint8_t pin : kDacSelectPins) {
    digitalWrite(pin, HIGH);
    pinMode(pin, OUTPUT);
  }
  first.Attach(kDacSelectPins[0]);
  second.Attach(kDacSelectPins[1]);
  SPI.begin();
  // Nothing else is on this bus: the settings of one transaction hold for good.
  SPI.beginTransaction(SPISettings(8000000, MSBFIRST, SPI_MODE0));
}

void Write(uint8_t channel, uint16_t dac_code) {
  const PinPort& chip = channel & 2 ? second : first;
  const uint8_t low = static_cast<uint8_t>(dac_code);
  uint8_t high = static_cast<uint8_t>((dac_code >> 8) | kGainTwoActive);
  if (channel & 1) high |= kSecondOutput;
  chip.Low();
  SPI.transfer(high);
  SPI.transfer(low);
  chip.High();
}

}  // namespace dac
