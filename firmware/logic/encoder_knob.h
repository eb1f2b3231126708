// An endless encoder standing for a knob from 0 to 1023.
#pragma once
#include <stdint.h>

class EncoderKnob {
 public:
  static constexpr int16_t kStep = 12;
  static constexpr int16_t kMax = 1023;

  uint16_t Turn(int16_t steps) {
    position_ = static_cast<int16_t>(position_ + steps * kStep);
    if (position_ < 0) position_ = 0;
    if (position_ > kMax) position_ = kMax;
    return static_cast<uint16_t>(position_);
  }

 private:
  int16_t position_ = kMax / 2;
};
