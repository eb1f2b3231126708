// Gate outputs and gate inputs. Inputs are active low (transistor stage or button to ground, pull-up on),
// so that an unpatched input reads as a low gate.
#pragma once
#include <stdint.h>

namespace gates {

void BeginOutputs();  // all low
void Write(uint8_t levels);  // bit n: gate n high

void BeginInputs();
bool NextEdge(uint8_t* input, bool* high, uint32_t* time_us);  // in order; false when there is none
bool Level(uint8_t input);
uint16_t DroppedEdges();  // edges that came faster than they were taken
int8_t TakeTurns();       // encoder clicks since the last call (QCVG only, else 0)
void Stop();

}  // namespace gates
