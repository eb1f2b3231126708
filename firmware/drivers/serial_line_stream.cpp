// Boards whose Serial is USB itself: no baud, no interrupts of ours.
#include "serial_line.h"

#if !defined(NOONSONG_UART)
#include <Arduino.h>

namespace serial_line {
namespace {

uint8_t received[32];
uint8_t received_size;
uint8_t received_at;

}  // namespace

void Begin(uint32_t baud) { Serial.begin(baud); }

const uint8_t* Peek(uint8_t* size) {
  if (received_at == received_size) {
    received_at = received_size = 0;
    while (received_size < sizeof received && Serial.available() > 0) {
      received[received_size++] = static_cast<uint8_t>(Serial.read());
    }
  }
  *size = static_cast<uint8_t>(received_size - received_at);
  return received + received_at;
}

void Take(uint8_t count) { received_at = static_cast<uint8_t>(received_at + count); }

uint8_t Waiting() {
  const int waiting = Serial.available() + received_size - received_at;
  return waiting > 255 ? 255 : static_cast<uint8_t>(waiting);
}

uint8_t TransmitRoom() {
  // A host that does not read must not stop the music: without room nothing is written.
  const int room = Serial.availableForWrite();
  return room < 0 ? 0 : (room > 255 ? 255 : static_cast<uint8_t>(room));
}

void Sink::Send() {
  Serial.write(queued, at_);
  at_ = 0;
}

uint16_t Overruns() { return 0; }

void PauseTransmit() {}

void ResumeTransmit() {}

void Stop() {}

}  // namespace serial_line
#endif
