// The analogue inputs in turn, a conversion always under way, nobody waiting for it.
#pragma once
#include <stdint.h>

namespace analog {

void Begin(uint8_t inputs);
// Returns false while the conversion runs; then its input and its code (0 to 1023), once.
bool ReadConversion(uint8_t* input, uint16_t* adc_code);

}  // namespace analog
