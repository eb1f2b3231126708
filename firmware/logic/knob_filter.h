// One analogue input: a low-pass that hurries while the knob turns, then a hysteresis that a still knob's
// noise cannot cross, stretched so that both ends are reached.
#pragma once
#include <stdint.h>

class KnobFilter {
 public:
  static constexpr uint16_t kMax = 1023;
  static constexpr uint8_t kDefaultHysteresis = 40;  // sixteenths of a converter step: 2.5 steps either way

  // Takes one conversion (0 to 1023); returns true when Value() has changed.
  bool Feed(uint16_t adc_code, uint8_t hysteresis) {
    const int16_t error = static_cast<int16_t>((adc_code << kFractionBits) - (smooth_ >> kSmoothBits));
    if (!started_) {
      started_ = true;
      smooth_ = static_cast<uint32_t>(adc_code) << (kFractionBits + kSmoothBits);
      dragged_ = static_cast<uint16_t>(adc_code << kFractionBits);
    } else {
      const bool far = error >= kFar || error <= -kFar;
      // One stray reading is noise, a second one the same way is a hand.
      const bool same_way = (error < 0) == falling_;
      uint8_t shift = kSlowShift;
      if (far && far_ && same_way) {
        shift = kFastShift;
        settling_ = kSettlingReadings;
      } else if (settling_ != 0) {
        shift = kMediumShift;
        --settling_;
      }
      far_ = far;
      falling_ = error < 0;
      smooth_ = static_cast<uint32_t>(static_cast<int32_t>(smooth_) +
                                      (static_cast<int32_t>(error) << kSmoothBits >> shift));
    }
    const uint16_t level = static_cast<uint16_t>(smooth_ >> kSmoothBits);
    if (level > dragged_ + hysteresis) dragged_ = static_cast<uint16_t>(level - hysteresis);
    if (level + hysteresis < dragged_) dragged_ = static_cast<uint16_t>(level + hysteresis);
    const uint16_t value = Stretch(dragged_, hysteresis);
    const bool changed = value != value_;
    value_ = value;
    return changed;
  }

  uint16_t Value() const { return value_; }

 private:
  static constexpr uint8_t kFractionBits = 4;
  static constexpr uint8_t kSmoothBits = 8;
  static constexpr uint8_t kSlowShift = 3;
  static constexpr uint8_t kMediumShift = 2;
  static constexpr uint8_t kSettlingReadings = 12;
  static constexpr uint8_t kFastShift = 1;
  static constexpr int16_t kFar = 8 << kFractionBits;
  // The ends of a real potentiometer stop a little short of the rails.
  static constexpr uint16_t kEnd = 2 << kFractionBits;

  static uint16_t Stretch(uint16_t dragged, uint8_t hysteresis) {
    const uint16_t low = static_cast<uint16_t>(hysteresis + kEnd);
    if (dragged <= low) return 0;
    const uint16_t span = static_cast<uint16_t>((kMax << kFractionBits) - 2 * low);
    const uint16_t above = static_cast<uint16_t>(dragged - low);
    if (above >= span) return kMax;
    return static_cast<uint16_t>((static_cast<uint32_t>(above) * kMax + span / 2) / span);
  }

  uint32_t smooth_ = 0;
  uint16_t dragged_ = 0;
  uint16_t value_ = 0xFFFF;
  uint8_t settling_ = 0;
  bool started_ = false;
  bool far_ = false;
  bool falling_ = false;
};
