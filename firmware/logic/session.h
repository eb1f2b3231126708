// Who is at the other end: an open session, the frames received from it and how long it has been silent.
#pragma once
#include <stdint.h>

class Session {
 public:
  static constexpr uint32_t kSilenceUs = 1000000;

  enum class Arrival : uint8_t { kNew, kAgain };

  void Open(uint8_t sequence, uint32_t now_us) {
    open_ = true;
    failsafe_ = false;
    newest_ = sequence;
    received_ = 1;
    heard_us_ = now_us;
  }

  void Close() { open_ = false; }

  // Any valid frame keeps the session alive.
  void Heard(uint32_t now_us) { heard_us_ = now_us; }

  // Returns true once, when the host has been silent for too long.
  bool Expired(uint32_t now_us) {
    if (!open_ || now_us - heard_us_ < kSilenceUs) return false;
    open_ = false;
    failsafe_ = true;
    return true;
  }

  // Whether the frame of this sequence number is new or was here already (the host sends again what it
  // thinks lost). Bit n of received() stands for the frame n before the newest.
  Arrival Arrive(uint8_t sequence) {
    const int8_t ahead = static_cast<int8_t>(sequence - newest_);
    if (ahead > 0) {
      lost_ = static_cast<uint16_t>(lost_ + ahead - 1);
      received_ = ahead >= 32 ? 0 : received_ << ahead;
      received_ |= 1;
      newest_ = sequence;
      return Arrival::kNew;
    }
    const uint8_t behind = static_cast<uint8_t>(-ahead);
    if (behind >= 32) return Arrival::kAgain;
    const uint32_t bit = static_cast<uint32_t>(1) << behind;
    if (received_ & bit) return Arrival::kAgain;
    received_ |= bit;
    return Arrival::kNew;
  }

  bool open() const { return open_; }
  bool failsafe() const { return failsafe_; }
  uint8_t newest() const { return newest_; }
  uint32_t received() const { return received_; }
  uint16_t lost() const { return lost_; }

 private:
  uint32_t heard_us_ = 0;
  uint32_t received_ = 0;
  uint16_t lost_ = 0;
  uint8_t newest_ = 0;
  bool open_ = false;
  bool failsafe_ = false;
};
