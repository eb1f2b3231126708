// Frames: type, sequence, payload and CRC under COBS, ended by a zero byte.
#pragma once
#include <stdint.h>

#include "crc16.h"
#include "messages.h"

struct Frame {
  uint8_t type;
  uint8_t sequence;
  uint8_t payload_size;
  const uint8_t* payload;
};

// Feed a byte at a time. A frame that Take() hands out stays valid until the next Feed().
class FrameDecoder {
 public:
  enum Result : uint8_t { kMore, kFrame, kBad };

  Result Feed(uint8_t byte) {
    if (byte == 0) return EndFrame();
    if (broken_) return kMore;
    if (left_ == 0) {
      if (started_ && code_ != 0xFF) Put(0);
      started_ = true;
      code_ = byte;
      left_ = static_cast<uint8_t>(byte - 1);
    } else {
      --left_;
      Put(byte);
    }
    return kMore;
  }

  Frame Taken() const {
    return Frame{buffer_[0], buffer_[1], static_cast<uint8_t>(taken_size_ - kHeaderSize - kCrcSize),
                 buffer_ + kHeaderSize};
  }

 private:
  void Put(uint8_t byte) {
    if (size_ == kMaxRaw) {
      broken_ = true;
      return;
    }
    buffer_[size_++] = byte;
    crc_ = CrcAdd(crc_, byte);
  }

  Result EndFrame() {
    const bool empty = !started_ && !broken_;
    // The CRC is sent high byte first, so that running it over itself leaves zero.
    const bool good = !broken_ && left_ == 0 && size_ >= kHeaderSize + kCrcSize && crc_ == 0;
    taken_size_ = size_;
    size_ = 0;
    left_ = 0;
    crc_ = kCrcStart;
    started_ = false;
    broken_ = false;
    if (empty) return kMore;  // repeated delimiters are allowed: a host may send one to flush noise
    return good ? kFrame : kBad;
  }

  uint8_t buffer_[kMaxRaw];
  uint8_t size_ = 0;
  uint8_t taken_size_ = 0;
  uint8_t left_ = 0;
  uint8_t code_ = 0;
  uint16_t crc_ = kCrcStart;
  bool started_ = false;
  bool broken_ = false;
};

// Writes one frame into `out` (kMaxEncoded bytes) and returns its encoded size.
inline uint8_t EncodeFrame(uint8_t type, uint8_t sequence, const uint8_t* payload, uint8_t payload_size,
                           uint8_t* out) {
  uint8_t code_at = 0;
  uint8_t at = 1;
  uint16_t crc = kCrcStart;
  const uint8_t raw_size = static_cast<uint8_t>(payload_size + kHeaderSize);
  for (uint8_t i = 0; i < raw_size + kCrcSize; ++i) {
    uint8_t byte;
    if (i == 0) {
      byte = type;
    } else if (i == 1) {
      byte = sequence;
    } else if (i < raw_size) {
      byte = payload[i - kHeaderSize];
    } else {
      byte = static_cast<uint8_t>(i == raw_size ? crc >> 8 : crc);
    }
    if (i < raw_size) crc = CrcAdd(crc, byte);
    if (byte == 0) {
      out[code_at] = static_cast<uint8_t>(at - code_at);
      code_at = at++;
    } else {
      out[at++] = byte;
    }
  }
  out[code_at] = static_cast<uint8_t>(at - code_at);
  out[at++] = 0;
  return at;
}
