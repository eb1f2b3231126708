// Two MCP4822 on SPI: channels 0 and 1 on the first, 2 and 3 on the second.
#pragma once
#include <stdint.h>

namespace dac {

void Begin();  // leaves the voltages as they are
void Write(uint8_t channel, uint16_t dac_code);

}  // namespace dac
