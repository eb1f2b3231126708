// The line to the host: bytes in, bytes out, never waiting.
#pragma once
#include <stdint.h>

#if defined(__AVR__)
#include <avr/io.h>
#endif
#if defined(UBRR0H)
#define NOONSONG_UART 1
#endif

namespace serial_line {

#if defined(NOONSONG_UART)
constexpr uint8_t kTransmitSize = 128;
extern volatile uint8_t queued[kTransmitSize];
extern volatile uint8_t transmit_head;
#else
constexpr uint8_t kTransmitSize = 64;
#endif

// Takes a frame's bytes, some later than those after them; Send() lets them go.
class Sink {
 public:
#if defined(NOONSONG_UART)
  Sink() : at_(transmit_head) {}
#endif
  void Fill(uint8_t place, uint8_t byte) { queued[place] = byte; }
  uint8_t Open() {
    const uint8_t place = at_;
    at_ = (at_ + 1) & (kTransmitSize - 1);
    return place;
  }
  void Put(uint8_t byte) { Fill(Open(), byte); }
  void Send();

 private:
#if defined(NOONSONG_UART)
  uint8_t at_;
#else
  uint8_t queued[kTransmitSize];
  uint8_t at_ = 0;
#endif
};

void Begin(uint32_t baud);
const uint8_t* Peek(uint8_t* size);  // received bytes in a row, perhaps not all
void Take(uint8_t count);            // of those; they are gone
uint8_t Waiting();                   // all received bytes
uint8_t TransmitRoom();              // bytes that a Sink takes now
uint16_t Overruns();  // received bytes that found no room
// Between these no transmit interrupt gets in the way; what is queued goes on afterwards.
void PauseTransmit();
void ResumeTransmit();
void Stop();

}  // namespace serial_line
