// The two switches of an encoder to its clicks.
#pragma once
#include <stdint.h>

// A phase is one switch's level << 1 | the other's: 3, 1, 0, 2, 3 is a click up, the other way round down.
class Quadrature {
 public:
  void Begin(uint8_t phase) { phase_ = phase & 3; }

  // A bounce undoes itself; a jump over a phase tells no direction and counts nothing.
  void Feed(uint8_t phase) {
    static const int8_t kQuarters[16] = {0, -1, 1, 0, 1, 0, 0, -1, -1, 0, 0, 1, 0, 1, -1, 0};
    const uint8_t move = static_cast<uint8_t>(phase_ << 2 | (phase & 3));
    phase_ = phase & 3;
    const int8_t quarters = static_cast<int8_t>(quarters_ + kQuarters[move]);
    if (quarters > -kMost && quarters < kMost) quarters_ = quarters;
  }

  // Whole clicks since the last call, up counted positive; what is left of one stays for the next.
  int8_t TakeClicks() {
    const int8_t clicks = quarters_ / 4;
    quarters_ = static_cast<int8_t>(quarters_ - clicks * 4);
    return clicks;
  }

 private:
  static constexpr int8_t kMost = 127;
  uint8_t phase_ = 3;
  int8_t quarters_ = 0;
};
