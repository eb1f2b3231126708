// One analogue input: a low-pass that hurries while the knob turns, then a hysteresis that a still knob's
// noise cannot cross, stretched so that both ends are reached.
#pragma once
#include <stdint.h>

// What all knobs share: the hysteresis, and the stretch that makes up for it at the ends.
class KnobScale {
 public:
  static constexpr uint16_t kMax = 1023;
  static constexpr uint8_t kFractionBits = 4;
  static constexpr uint8_t kDefaultHysteresis = 40;  // sixteenths of a converter step: 2.5 steps either way

  KnobScale() { Set(kDefaultHysteresis); }

  void Set(uint8_t hysteresis) {
    hysteresis_ = hysteresis;
    low_ = static_cast<uint16_t>(hysteresis + kEnd);
    span_ = static_cast<uint16_t>((kMax << kFractionBits) - 2 * low_);
    factor_ = (static_cast<uint32_t>(kMax) << kFactorBits) / span_;
  }

  uint8_t hysteresis() const { return hysteresis_; }

  uint16_t Stretch(uint16_t dragged) const {
    if (dragged <= low_) return 0;
    const uint16_t above = static_cast<uint16_t>(dragged - low_);
    if (above >= span_) return kMax;
    return static_cast<uint16_t>((above * factor_ + (1ul << (kFactorBits - 1))) >> kFactorBits);
  }

 private:
  // The ends of a real potentiometer stop a little short of the rails.
  static constexpr uint16_t kEnd = 2 << kFractionBits;
  // A multiplication in place of a division, which would take most of a conversion's time on an AVR.
  static constexpr uint8_t kFactorBits = 20;

  uint32_t factor_;
  uint16_t low_;
  uint16_t span_;
  uint8_t hysteresis_;
};

class KnobFilter {
 public:

  // Takes one conversion (0 to 1023); returns true when Value() has changed.
  bool Feed(uint16_t adc_code, const KnobScale& scale) {
    const uint8_t hysteresis = scale.hysteresis();
    const uint16_t before = dragged_;
    const uint16_t reading = static_cast<uint16_t>(adc_code << kSmoothBits);
    if (!Known()) {
      smooth_ = reading;
      dragged_ = static_cast<uint16_t>(adc_code << kFractionBits);
    } else {
      const int16_t error = static_cast<int16_t>(reading - smooth_);
      const bool far = error >= kFar || error <= -kFar;
      // One stray reading is noise and moves nothing, a second one the same way is a hand.
      if (far) {
        if (far_ && (error < 0) == falling_) {
          smooth_ = reading;
          settling_ = kSettlingReadings;
        }
      } else if (settling_ != 0) {
        smooth_ = static_cast<uint16_t>(smooth_ + (error >> kMediumShift));
        --settling_;
      } else {
        smooth_ = static_cast<uint16_t>(smooth_ + (error >> kSlowShift));
      }
      far_ = far;
      falling_ = error < 0;
    }
    const uint16_t level = static_cast<uint16_t>(smooth_ >> (kSmoothBits - kFractionBits));
    if (level > dragged_ + hysteresis) dragged_ = static_cast<uint16_t>(level - hysteresis);
    if (level + hysteresis < dragged_) dragged_ = static_cast<uint16_t>(level + hysteresis);
    if (dragged_ == before && value_ != kNone) return false;
    const uint16_t value = scale.Stretch(dragged_);
    const bool changed = value != value_;
    value_ = value;
    return changed;
  }

  uint16_t Value() const { return value_; }
  bool Known() const { return value_ != kNone; }

 private:
  static constexpr uint16_t kNone = 0xFFFF;
  static constexpr uint8_t kFractionBits = KnobScale::kFractionBits;
  static constexpr uint8_t kSmoothBits = 5;  // 1023 with five more bits is the most whose difference fits 16 bits
  static constexpr uint8_t kSlowShift = 3;
  static constexpr uint8_t kMediumShift = 2;
  static constexpr uint8_t kSettlingReadings = 12;
  static constexpr int16_t kFar = 8 << kSmoothBits;
  uint16_t smooth_ = 0;
  uint16_t dragged_ = 0;
  uint16_t value_ = kNone;
  uint8_t settling_ = 0;
  bool far_ = false;
  bool falling_ = false;
};
