// The AVR converter at 250 kHz: 52 us a conversion, still ten bits good.
#if defined(__AVR__)
#include "analog.h"

#include <Arduino.h>

namespace analog {
namespace {

uint8_t input_count;
uint8_t current;

void Start() {
#if defined(analogPinToChannel)
  const uint8_t channel = analogPinToChannel(current);
#else
  const uint8_t channel = current;
#endif
#if defined(MUX5)
  ADCSRB = static_cast<uint8_t>((ADCSRB & ~_BV(MUX5)) | (((channel >> 3) & 1) << MUX5));
#endif
  ADMUX = static_cast<uint8_t>(_BV(REFS0) | (channel & 7));
  ADCSRA = _BV(ADEN) | _BV(ADSC) | _BV(ADPS2) | _BV(ADPS1);
}

}  // namespace

void Begin(uint8_t inputs) {
  input_count = inputs;
  current = 0;
  Start();
}

bool ReadConversion(uint8_t* input, uint16_t* adc_code) {
  if (ADCSRA & _BV(ADSC)) return false;
  const uint8_t low = ADCL;
  *adc_code = static_cast<uint16_t>(low | (ADCH << 8));
  *input = current;
  if (++current == input_count) current = 0;
  Start();
  return true;
}

}  // namespace analog
#endif
