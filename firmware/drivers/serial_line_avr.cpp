// The first UART by its registers. Arduino's Serial works too, but its interrupts and calls cost twice the
// time, and at 500000 baud both ways that is the time there is.
#if defined(__AVR__) && defined(UBRR0H)
#include "serial_line.h"

#include <Arduino.h>

#include "lock.h"

namespace serial_line {
namespace {

constexpr uint16_t kReceiveSize = 256;  // indexes wrap by themselves
constexpr uint8_t kTransmitSize = 128;

volatile uint8_t received[kReceiveSize];
volatile uint8_t receive_head;
volatile uint8_t receive_tail;
volatile uint8_t queued[kTransmitSize];
volatile uint8_t transmit_head;
volatile uint8_t transmit_tail;
volatile uint8_t overruns;
uint16_t overruns_total;

}  // namespace

void Begin(uint32_t baud) {
  UBRR0 = static_cast<uint16_t>(F_CPU / 8 / baud - 1);
  UCSR0A = _BV(U2X0);
  UCSR0C = _BV(UCSZ01) | _BV(UCSZ00);
  UCSR0B = _BV(RXEN0) | _BV(TXEN0) | _BV(RXCIE0);
}

int16_t ReadByte() {
  const uint8_t tail = receive_tail;
  if (tail == receive_head) return -1;
  const uint8_t byte = received[tail];
  receive_tail = static_cast<uint8_t>(tail + 1);
  return byte;
}

uint8_t TransmitRoom() {
  return static_cast<uint8_t>((transmit_tail - transmit_head - 1) & (kTransmitSize - 1));
}

void Transmit(const uint8_t* bytes, uint8_t size) {
  uint8_t head = transmit_head;
  for (; size != 0; --size) {
    queued[head] = *bytes++;
    head = (head + 1) & (kTransmitSize - 1);
  }
  transmit_head = head;
  Lock lock;
  UCSR0B |= _BV(UDRIE0);
}

uint16_t Overruns() {
  Lock lock;
  overruns_total += overruns;
  overruns = 0;
  return overruns_total;
}

void Stop() { UCSR0B = 0; }

}  // namespace serial_line

#if defined(USART_RX_vect)
#define NOONSONG_RX_vect USART_RX_vect
#define NOONSONG_UDRE_vect USART_UDRE_vect
#else
#define NOONSONG_RX_vect USART0_RX_vect
#define NOONSONG_UDRE_vect USART0_UDRE_vect
#endif

ISR(NOONSONG_RX_vect) {
  using namespace serial_line;
  const uint8_t status = UCSR0A;
  const uint8_t byte = UDR0;
  const uint8_t head = receive_head;
  const uint8_t next = static_cast<uint8_t>(head + 1);
  if ((status & _BV(DOR0)) || next == receive_tail) overruns = overruns + 1;
  if (next == receive_tail) return;
  received[head] = byte;
  receive_head = next;
}

ISR(NOONSONG_UDRE_vect) {
  using namespace serial_line;
  const uint8_t tail = transmit_tail;
  UDR0 = queued[tail];
  const uint8_t next = (tail + 1) & (kTransmitSize - 1);
  transmit_tail = next;
  if (next == transmit_head) UCSR0B &= static_cast<uint8_t>(~_BV(UDRIE0));
}
#endif
