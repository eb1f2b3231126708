#include "gates.h"

#include <Arduino.h>

#include "board_clock.h"
#include "../logic/quadrature.h"
#include "lock.h"
#include "pin_port.h"
#include "../pins.h"

namespace gates {
namespace {

constexpr uint8_t kOutputs = sizeof kGateOutPins;
constexpr uint8_t kInputs = sizeof kGateInPins;
constexpr uint8_t kEdges = 8;

struct Edge {
  uint32_t time_us;
  uint8_t input_and_level;
};

PinPort outputs[kOutputs];
PinPort inputs[kInputs];
volatile Edge edges[kEdges];
volatile uint8_t edge_head;
volatile uint8_t edge_tail;
volatile uint16_t dropped;
#if defined(__AVR__)
PinPort::Register shared_port;  // null when the gates are on several ports
uint8_t shared_mask;
#endif

#if defined(NOONSONG_QCVG)
PinPort encoder_pins[2];
Quadrature encoder;

uint8_t Phase() {
  return static_cast<uint8_t>((encoder_pins[0].IsHigh() ? 2 : 0) | (encoder_pins[1].IsHigh() ? 1 : 0));
}

void NoteTurn() { encoder.Feed(Phase()); }
#else
void NoteEdge(uint8_t input) {
  const uint32_t time_us = board_clock::NowUs();
  const uint8_t next = (edge_head + 1) & (kEdges - 1);
  if (next == edge_tail) {
    dropped = dropped + 1;
    return;
  }
  edges[edge_head].time_us = time_us;
  edges[edge_head].input_and_level = static_cast<uint8_t>(input << 1 | (Level(input) ? 1 : 0));
  edge_head = next;
}

void NoteFirst() { NoteEdge(0); }
void NoteSecond() { NoteEdge(1); }
#endif

}  // namespace

void BeginOutputs() {
  for (uint8_t i = 0; i < kOutputs; ++i) {
    digitalWrite(kGateOutPins[i], LOW);
    pinMode(kGateOutPins[i], OUTPUT);
    outputs[i].Attach(kGateOutPins[i]);
  }
#if defined(__AVR__)
  shared_port = outputs[0].port();
  for (uint8_t i = 0; i < kOutputs; ++i) {
    // In a row on one port, as on Uno and Nano, all gates change in one write.
    if (outputs[i].port() != shared_port || outputs[i].mask() != outputs[0].mask() << i) shared_port = nullptr;
    shared_mask |= outputs[i].mask();
  }
#endif
}

void Write(uint8_t levels) {
#if defined(__AVR__)
  if (shared_port != nullptr) {
    const uint8_t first = outputs[0].mask();
    const uint8_t bits = first == 0x10 ? static_cast<uint8_t>(levels << 4) : static_cast<uint8_t>(levels * first);
    *shared_port = static_cast<uint8_t>((*shared_port & ~shared_mask) | bits);
    return;
  }
#endif
  for (uint8_t i = 0; i < kOutputs; ++i) {
    if (levels & (1 << i)) {
      outputs[i].High();
    } else {
      outputs[i].Low();
    }
  }
}

void BeginInputs() {
  for (uint8_t i = 0; i < kInputs; ++i) {
    pinMode(kGateInPins[i], INPUT_PULLUP);
    inputs[i].AttachInput(kGateInPins[i]);
  }
#if defined(NOONSONG_QCVG)
  for (uint8_t i = 0; i < 2; ++i) {
    pinMode(kEncoderPins[i], INPUT_PULLUP);
    encoder_pins[i].AttachInput(kEncoderPins[i]);
  }
  encoder.Begin(Phase());
  for (uint8_t i = 0; i < 2; ++i) {
    attachInterrupt(digitalPinToInterrupt(kEncoderPins[i]), NoteTurn, CHANGE);
  }
#else
  attachInterrupt(digitalPinToInterrupt(kGateInPins[0]), NoteFirst, CHANGE);
  attachInterrupt(digitalPinToInterrupt(kGateInPins[1]), NoteSecond, CHANGE);
#endif
}

bool NextEdge(uint8_t* input, bool* high, uint32_t* time_us) {
  const uint8_t tail = edge_tail;
  if (tail == edge_head) return false;
  *time_us = edges[tail].time_us;
  *input = edges[tail].input_and_level >> 1;
  *high = edges[tail].input_and_level & 1;
  edge_tail = (tail + 1) & (kEdges - 1);
  return true;
}

bool Level(uint8_t input) { return !inputs[input].IsHigh(); }

uint16_t DroppedEdges() {
  Lock lock;
  return dropped;
}

int8_t TakeTurns() {
#if defined(NOONSONG_QCVG)
  Lock lock;
  return encoder.TakeClicks();
#else
  return 0;
#endif
}

void Stop() {
#if defined(NOONSONG_QCVG)
  for (uint8_t i = 0; i < 2; ++i) detachInterrupt(digitalPinToInterrupt(kEncoderPins[i]));
#else
  for (uint8_t i = 0; i < kInputs; ++i) detachInterrupt(digitalPinToInterrupt(kGateInPins[i]));
#endif
}

}  // namespace gates
