// What the LED tells: waiting for a host, playing, host lost, calibration lost; or what the host has it tell.
#pragma once
#include <stdint.h>

enum class LedState : uint8_t { kWaiting, kPlaying, kHostLost, kCalibrationLost };

// From the host, while it is there: the board's own state, or dark, or lit.
enum class LedOrder : uint8_t { kOwn, kDark, kLit };

// Sixteen steps of 1/8 s, the lowest bit first.
inline bool LedOn(LedState state, uint32_t now_us) {
  const uint8_t step = (now_us >> 17) & 15;
  switch (state) {
    case LedState::kWaiting: return (0x00FF >> step) & 1;          // slow blink
    case LedState::kPlaying: return true;                          // on
    case LedState::kHostLost: return (0x5555 >> step) & 1;         // fast blink
    case LedState::kCalibrationLost: return (0xFFF5 >> step) & 1;  // on with two dark winks
  }
  return false;
}
