#include "dac.h"

#include <SPI.h>

#include "pin_port.h"
#include "../pins.h"

namespace dac {
namespace {

constexpr uint16_t kSecondOutput = 0x8000;
constexpr uint16_t kGainTwoActive = 0x1000;  // gain bit clear: 0 to 4.095 V; shutdown bit set: output on

PinPort select[2];

}  // namespace

void Begin() {
  for (uint8_t i = 0; i < 2; ++i) {
    digitalWrite(kDacSelectPins[i], HIGH);
    pinMode(kDacSelectPins[i], OUTPUT);
    select[i].Attach(kDacSelectPins[i]);
  }
  SPI.begin();
  // Nothing else is on this bus: the settings of one transaction hold for good.
  SPI.beginTransaction(SPISettings(8000000, MSBFIRST, SPI_MODE0));
}

void Write(uint8_t channel, uint16_t dac_code) {
  const PinPort& chip = select[channel >> 1];
  const uint16_t word = dac_code | kGainTwoActive | (channel & 1 ? kSecondOutput : 0);
  chip.Low();
  SPI.transfer16(word);
  chip.High();
}

}  // namespace dac
