// One gate input: the first edge counts at once with its own time, then the input is deaf for the lockout
// (contact bounce, ringing cables); afterwards the level is looked at again so that no edge stays unseen.
#pragma once
#include <stdint.h>

class GateInput {
 public:
  static constexpr uint32_t kGateLockoutUs = 300;

  void set_lockout_us(uint32_t lockout_us) { lockout_us_ = lockout_us; }

  // An edge from the interrupt. Returns true when it changes the level reported.
  bool Edge(bool high, uint32_t time_us) {
    last_raw_us_ = time_us;
    if (Locked(time_us) || high == high_) return false;
    return Report(high, time_us);
  }

  // The level read by the main loop. Returns true when it differs from what was reported.
  bool Level(bool high, uint32_t now_us) {
    if (Locked(now_us) || high == high_) return false;
    // The edge that led here fell into the lockout; its time is known unless the interrupt missed it.
    const bool seen = now_us - last_raw_us_ <= lockout_us_ + kPollSlackUs;
    return Report(high, seen ? last_raw_us_ : now_us);
  }

  bool high() const { return high_; }
  uint8_t count() const { return count_; }
  uint32_t time_us() const { return time_us_; }

 private:
  static constexpr uint32_t kPollSlackUs = 2000;

  bool Locked(uint32_t now_us) {
    if (locked_ && now_us - time_us_ >= lockout_us_) locked_ = false;
    return locked_;
  }

  bool Report(bool high, uint32_t time_us) {
    high_ = high;
    time_us_ = time_us;
    locked_ = true;
    ++count_;
    return true;
  }

  uint32_t lockout_us_ = kGateLockoutUs;
  uint32_t time_us_ = 0;
  uint32_t last_raw_us_ = 0;
  uint8_t count_ = 0;
  bool high_ = false;
  bool locked_ = false;
};
