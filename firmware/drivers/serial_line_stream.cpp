// Boards whose Serial is USB itself: no baud, no interrupts of ours.
#include <Arduino.h>  // tells which UART registers there are

#if !(defined(__AVR__) && defined(UBRR0H))
#include "serial_line.h"

namespace serial_line {

void Begin(uint32_t baud) { Serial.begin(baud); }

int16_t ReadByte() { return static_cast<int16_t>(Serial.read()); }

uint8_t Waiting() {
  const int waiting = Serial.available();
  return waiting > 255 ? 255 : static_cast<uint8_t>(waiting);
}

uint8_t TransmitRoom() {
  const int room = Serial.availableForWrite();
  return room < 0 ? 0 : (room > 255 ? 255 : static_cast<uint8_t>(room));
}

void Transmit(const uint8_t* bytes, uint8_t size) { Serial.write(bytes, size); }

uint16_t Overruns() { return 0; }

void PauseTransmit() {}

void ResumeTransmit() {}

void Stop() {}

}  // namespace serial_line
#endif
