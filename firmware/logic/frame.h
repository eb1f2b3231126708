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
class FrameEncoder {
 public:
  explicit FrameEncoder(uint8_t* out) : out_(out), code_(out), at_(out + 1) {}

  __attribute__((always_inline)) void Add(uint8_t byte) {
    crc_ = CrcAdd(crc_, byte);
    Put(byte);
  }

  uint8_t Finish() {
    const uint16_t crc = crc_;
    Put(static_cast<uint8_t>(crc >> 8));
    Put(static_cast<uint8_t>(crc));
    *code_ = static_cast<uint8_t>(at_ - code_);
    *at_++ = 0;
    return static_cast<uint8_t>(at_ - out_);
  }

 private:
  __attribute__((always_inline)) void Put(uint8_t byte) {
    if (byte == 0) {
      *code_ = static_cast<uint8_t>(at_ - code_);
      code_ = at_++;
    } else {
      *at_++ = byte;
    }
  }

  uint8_t* out_;
  uint8_t* code_;
  uint8_t* at_;
  uint16_t crc_ = kCrcStart;
};

inline uint8_t EncodeFrame(uint8_t type, uint8_t sequence, const uint8_t* payload, uint8_t payload_size,
                           uint8_t* out) {
  FrameEncoder encoder(out);
  encoder.Add(type);
  encoder.Add(sequence);
  while (payload_size-- != 0) encoder.Add(*payload++);
  return encoder.Finish();
}
