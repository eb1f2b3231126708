// The first UART by its registers. Arduino's Serial works too, but its interrupts and calls cost twice the
// time, and at 500000 baud both ways that is the time there is.
#include "serial_line.h"

#if defined(NOONSONG_UART)
#include <Arduino.h>

#include "lock.h"

namespace serial_line {

volatile uint8_t queued[kTransmitSize];
volatile uint8_t transmit_head;

namespace {

constexpr uint8_t kReceiveSize = 128;

volatile uint8_t received[kReceiveSize];
volatile uint8_t receive_head;
volatile uint8_t receive_tail;
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

const uint8_t* Peek(uint8_t* size) {
  const uint8_t head = receive_head;
  const uint8_t tail = receive_tail;
  *size = static_cast<uint8_t>((head >= tail ? head : kReceiveSize) - tail);
  return const_cast<const uint8_t*>(received) + tail;
}

void Take(uint8_t count) { receive_tail = (receive_tail + count) & (kReceiveSize - 1); }

uint8_t Waiting() { return (receive_head - receive_tail) & (kReceiveSize - 1); }

uint8_t TransmitRoom() {
  return static_cast<uint8_t>((transmit_tail - transmit_head - 1) & (kTransmitSize - 1));
}

void Sink::Send() {
  Lock lock;
  transmit_head = at_;
  UCSR0B |= _BV(UDRIE0);
}

uint16_t Overruns() {
  Lock lock;
  overruns_total += overruns;
  overruns = 0;
  return overruns_total;
}

void PauseTransmit() { UCSR0B &= static_cast<uint8_t>(~_BV(UDRIE0)); }

void ResumeTransmit() {
  Lock lock;
  if (transmit_head != transmit_tail) UCSR0B |= _BV(UDRIE0);
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

// Both in assembler: the compiler saves twice the registers these need, and they run once in 160 cycles.

// received[head] = UDR0, unless the ring is full or the part has lost a byte (counted; the frame is broken
// either way, its sum tells).
ISR(NOONSONG_RX_vect, ISR_NAKED) {
  __asm__ __volatile__(
      "push r24               \n"
      "in   r24, __SREG__     \n"
      "push r24               \n"
      "push r25               \n"
      "push r30               \n"
      "push r31               \n"
      "lds  r31, %[status]    \n"
      "lds  r24, %[data]      \n"
      "lds  r30, %[head]      \n"
      "mov  r25, r30          \n"
      "subi r25, 0xFF         \n"
      "andi r25, %[mask]      \n"
      "sbrc r31, %[dor]       \n"
      "rjmp 1f                \n"
      "lds  r31, %[tail]      \n"
      "cp   r25, r31          \n"
      "breq 1f                \n"
      "sts  %[head], r25      \n"
      "ldi  r31, 0            \n"
      "subi r30, lo8(-(%[ring])) \n"
      "sbci r31, hi8(-(%[ring])) \n"
      "st   Z, r24            \n"
      "2:                     \n"
      "pop  r31               \n"
      "pop  r30               \n"
      "pop  r25               \n"
      "pop  r24               \n"
      "out  __SREG__, r24     \n"
      "pop  r24               \n"
      "reti                   \n"
      "1:                     \n"
      "lds  r24, %[lost]      \n"
      "subi r24, 0xFF         \n"
      "sts  %[lost], r24      \n"
      "rjmp 2b                \n" ::[status] "i"(&UCSR0A),
      [data] "i"(&UDR0), [head] "i"(&serial_line::receive_head), [tail] "i"(&serial_line::receive_tail),
      [ring] "i"(serial_line::received), [lost] "i"(&serial_line::overruns),
      [mask] "M"(serial_line::kReceiveSize - 1), [dor] "I"(DOR0));
}

// UDR0 = queued[tail]; the last byte switches the interrupt off.
ISR(NOONSONG_UDRE_vect, ISR_NAKED) {
  __asm__ __volatile__(
      "push r24               \n"
      "in   r24, __SREG__     \n"
      "push r24               \n"
      "push r30               \n"
      "push r31               \n"
      "lds  r24, %[tail]      \n"
      "mov  r30, r24          \n"
      "ldi  r31, 0            \n"
      "subi r30, lo8(-(%[ring])) \n"
      "sbci r31, hi8(-(%[ring])) \n"
      "ld   r30, Z            \n"
      "sts  %[data], r30      \n"
      "subi r24, 0xFF         \n"
      "andi r24, %[mask]      \n"
      "sts  %[tail], r24      \n"
      "lds  r30, %[head]      \n"
      "cpse r24, r30          \n"
      "rjmp 1f                \n"
      "lds  r24, %[control]   \n"
      "andi r24, %[off]       \n"
      "sts  %[control], r24   \n"
      "1:                     \n"
      "pop  r31               \n"
      "pop  r30               \n"
      "pop  r24               \n"
      "out  __SREG__, r24     \n"
      "pop  r24               \n"
      "reti                   \n" ::[data] "i"(&UDR0),
      [head] "i"(&serial_line::transmit_head), [tail] "i"(&serial_line::transmit_tail),
      [ring] "i"(serial_line::queued), [control] "i"(&UCSR0B),
      [mask] "M"(serial_line::kTransmitSize - 1), [off] "M"(0xFF & ~_BV(UDRIE0)));
}
#endif
