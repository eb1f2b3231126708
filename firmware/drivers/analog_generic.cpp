// Other boards: analogRead() at ten bits, one input a call.
#if !defined(__AVR__)
#include "analog.h"

#include <Arduino.h>

namespace analog {
namespace {

uint8_t input_count;
uint8_t current;

}  // namespace

void Begin(uint8_t inputs) {
  input_count = inputs;
  analogReadResolution(10);
}

bool ReadConversion(uint8_t* input, uint16_t* adc_code) {
  *input = current;
  *adc_code = static_cast<uint16_t>(analogRead(A0 + current));
  if (++current == input_count) current = 0;
  return true;
}

}  // namespace analog
#endif
