// The line to the host: bytes in, bytes out, never waiting.
#pragma once
#include <stdint.h>

namespace serial_line {

void Begin(uint32_t baud);
int16_t ReadByte();      // -1 when there is none
uint8_t Waiting();       // bytes that ReadByte() would give now
uint8_t TransmitRoom();  // bytes that Transmit() takes now
void Transmit(const uint8_t* bytes, uint8_t size);
uint16_t Overruns();  // received bytes that found no room
// Between these no transmit interrupt gets in the way; what is queued goes on afterwards.
void PauseTransmit();
void ResumeTransmit();
void Stop();

}  // namespace serial_line
