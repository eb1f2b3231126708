// Volts to DAC codes, per channel, corrected by a table measured at whole volts, and its block in EEPROM.
#pragma once
#include <stdint.h>

#include "bytes.h"
#include "crc16.h"
#include "voices.h"

// Levels on the wire are sixteenths of a millivolt; the MCP4822 at gain 2 makes one millivolt a step.
constexpr uint8_t kLevelBits = 4;
constexpr uint16_t kMaxDacCode = 4095;
constexpr uint16_t kLevelPerVolt = 1000 << kLevelBits;
constexpr uint8_t kCalibrationPoints = 5;  // 0, 1, 2, 3 and 4 V

enum class CalibrationState : uint8_t { kDefault = 0, kStored = 1, kBroken = 2, kUnsaved = 3 };

class Calibration {
 public:
  static constexpr uint8_t kVersion = 1;
  static constexpr uint8_t kMagic = 0xCA;
  static constexpr uint8_t kBlockSize = 2 + kVoices * kCalibrationPoints * 2 + 2;
  // A table further off than this (in levels: 0.25 V) is a wrong answer or a broken output, not a tolerance.
  static constexpr int16_t kMaxCorrection = 250 << kLevelBits;

  Calibration() { Reset(); }

  void Reset() {
    for (uint8_t c = 0; c < kVoices; ++c) {
      for (uint8_t p = 0; p < kCalibrationPoints; ++p) corrections_[c][p] = 0;
    }
    state_ = CalibrationState::kDefault;
  }

  uint16_t DacCode(uint8_t channel, uint16_t level) const {
    uint8_t point = 0;
    uint16_t within = level;
    while (within >= kLevelPerVolt && point < kCalibrationPoints - 2) {
      within = static_cast<uint16_t>(within - kLevelPerVolt);
      ++point;
    }
    const int16_t low = corrections_[channel][point];
    const int32_t rise = static_cast<int32_t>(corrections_[channel][point + 1]) - low;
    const int32_t corrected = static_cast<int32_t>(level) + low + Interpolate(rise, within);
    const int32_t code = (corrected + (1 << (kLevelBits - 1))) >> kLevelBits;
    if (code < 0) return 0;
    return code > kMaxDacCode ? kMaxDacCode : static_cast<uint16_t>(code);
  }

  int16_t Correction(uint8_t channel, uint8_t point) const { return corrections_[channel][point]; }

  // Returns false, changing nothing, when a value is beyond kMaxCorrection.
  bool Set(uint8_t channel, const int16_t (&corrections)[kCalibrationPoints]) {
    for (uint8_t p = 0; p < kCalibrationPoints; ++p) {
      if (corrections[p] > kMaxCorrection || corrections[p] < -kMaxCorrection) return false;
    }
    for (uint8_t p = 0; p < kCalibrationPoints; ++p) corrections_[channel][p] = corrections[p];
    state_ = CalibrationState::kUnsaved;
    return true;
  }

  // The byte of the EEPROM block at `at`; the CRC's bytes need a pass over the rest.
  void Pack(uint8_t (&block)[kBlockSize]) const {
    uint8_t* at = block;
    *at++ = kMagic;
    *at++ = kVersion;
    for (uint8_t c = 0; c < kVoices; ++c) {
      for (uint8_t p = 0; p < kCalibrationPoints; ++p, at += 2) {
        WriteU16(at, static_cast<uint16_t>(corrections_[c][p]));
      }
    }
    WriteU16(at, Crc(block));
  }

  void Unpack(const uint8_t (&block)[kBlockSize]) {
    Reset();
    bool blank = true;
    for (uint8_t i = 0; i < kBlockSize; ++i) blank = blank && block[i] == 0xFF;
    if (blank) return;
    state_ = CalibrationState::kBroken;
    if (block[0] != kMagic || block[1] != kVersion) return;
    if (ReadU16(block + kBlockSize - 2) != Crc(block)) return;
    const uint8_t* at = block + 2;
    for (uint8_t c = 0; c < kVoices; ++c) {
      int16_t corrections[kCalibrationPoints];
      for (uint8_t p = 0; p < kCalibrationPoints; ++p, at += 2) {
        corrections[p] = static_cast<int16_t>(ReadU16(at));
      }
      if (!Set(c, corrections)) {
        Reset();
        state_ = CalibrationState::kBroken;
        return;
      }
    }
    state_ = CalibrationState::kStored;
  }

  CalibrationState state() const { return state_; }
  void set_state(CalibrationState state) { state_ = state; }

 private:
  static uint16_t Crc(const uint8_t (&block)[kBlockSize]) {
    uint16_t crc = kCrcStart;
    for (uint8_t i = 0; i < kBlockSize - 2; ++i) crc = CrcAdd(crc, block[i]);
    return crc;
  }

  // rise * within / kLevelPerVolt, rounded; `within` reaches past one volt only above 4 V.
  static int32_t Interpolate(int32_t rise, uint16_t within) {
    if (rise == 0) return 0;  // the common case, and a division saved
    const int32_t product = rise * within;
    const int32_t half = product < 0 ? -static_cast<int32_t>(kLevelPerVolt / 2) : kLevelPerVolt / 2;
    return (product + half) / static_cast<int32_t>(kLevelPerVolt);
  }

  int16_t corrections_[kVoices][kCalibrationPoints];
  CalibrationState state_;
};
