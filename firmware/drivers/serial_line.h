// The line to the host: bytes in, bytes out, never waiting.
#pragma once
#include <stdint.h>

namespace serial_line {

void Begin(uint32_t baud);
int16_t ReadByte();      // -1 when there is none
uint8_t TransmitRoom();  // bytes that Transmit() takes now
void Transmit(const uint8_t* bytes, uint8_t size);
uint16_t Overruns();  // received bytes that found no room
void Stop();

}  // namespace serial_line
