// Keeps the calibration in EEPROM: read at start, written a byte a poll so that nothing ever waits for it.
#pragma once
#include <stdint.h>

#include "calibration.h"

// Hw supplies, as static functions: EepromReady(), EepromRead(address) and EepromWrite(address, byte).
template <class Hw>
class CalibrationStore {
 public:
  explicit CalibrationStore(Calibration& calibration) : calibration_(calibration) {}

  void Load() {
    uint8_t block[Calibration::kBlockSize];
    Read(block);
    calibration_.Unpack(block);
  }

  void StartSave() { at_ = 0; }

  // Returns true once, when everything has been written and read back.
  bool Poll() {
    if (at_ == kIdle || !Hw::EepromReady()) return false;
    uint8_t block[Calibration::kBlockSize];
    calibration_.Pack(block);
    // Bytes that are right already cost no write: most of them, most of the time.
    while (at_ < sizeof block && Hw::EepromRead(at_) == block[at_]) ++at_;
    if (at_ < sizeof block) {
      Hw::EepromWrite(at_, block[at_]);
      ++at_;
      return false;
    }
    at_ = kIdle;
    uint8_t written[Calibration::kBlockSize];
    Read(written);
    bool same = true;
    for (uint8_t i = 0; i < sizeof block; ++i) same = same && written[i] == block[i];
    calibration_.set_state(same ? CalibrationState::kStored : CalibrationState::kBroken);
    return true;
  }

 private:
  static constexpr uint8_t kIdle = 0xFF;

  static void Read(uint8_t (&block)[Calibration::kBlockSize]) {
    for (uint8_t i = 0; i < sizeof block; ++i) block[i] = Hw::EepromRead(i);
  }

  Calibration& calibration_;
  uint8_t at_ = kIdle;
};
