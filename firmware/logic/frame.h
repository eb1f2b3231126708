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

// Bytes in any portions; a frame stays valid until the next Feed().
class FrameDecoder {
 public:
  enum Result : uint8_t { kMore, kFrame, kBad };

  // Takes bytes up to the end of a frame at most; returns how many and what they came to.
  uint8_t Feed(const uint8_t* bytes, uint8_t size, Result* result) {
    *result = kMore;
    // Kept in registers while the loop runs: this is the board's busiest one.
    uint8_t left = left_;
    uint8_t at = size_;
    uint16_t crc = crc_;
    const uint8_t* next = bytes;
    const uint8_t* const end = bytes + size;
    while (next != end) {
      uint8_t byte = *next++;
      if (byte == 0) {
        *result = EndFrame(left, at, crc);
        return static_cast<uint8_t>(next - bytes);
      }
      if (left != 0) {
        --left;
      } else {
        left = static_cast<uint8_t>(byte - 1);
        const bool joins = started_ && code_ != 0xFF;
        started_ = true;
        code_ = byte;
        if (!joins) continue;
        byte = 0;
      }
      if (at == kMaxRaw) {
        broken_ = true;
        continue;
      }
      buffer_[at++] = byte;
      crc = CrcAdd(crc, byte);
    }
    left_ = left;
    size_ = at;
    crc_ = crc;
    return size;
  }

  Frame Taken() const {
    return Frame{buffer_[0], buffer_[1], static_cast<uint8_t>(taken_size_ - kHeaderSize - kCrcSize),
                 buffer_ + kHeaderSize};
  }

 private:
  Result EndFrame(uint8_t left, uint8_t size, uint16_t crc) {
    const bool empty = !started_;
    // The CRC is sent high byte first, so that running it over itself leaves zero.
    const bool good = !broken_ && left == 0 && size >= kHeaderSize + kCrcSize && crc == 0;
    taken_size_ = size;
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

// Writes one frame to Sink, which supplies Open() (skips a byte and returns its place), Put(byte) and
// Fill(place, byte): a transmit ring takes the bytes where they will be sent from.
template <class Sink>
class FrameEncoder {
 public:
  explicit FrameEncoder(Sink& sink) : sink_(sink), code_at_(sink.Open()) {}

  __attribute__((always_inline)) void Add(uint8_t byte) {
    crc_ = CrcAdd(crc_, byte);
    Put(byte);
  }

  void Finish() {
    const uint16_t crc = crc_;
    Put(static_cast<uint8_t>(crc >> 8));
    Put(static_cast<uint8_t>(crc));
    sink_.Fill(code_at_, run_);
    sink_.Put(0);
  }

 private:
  __attribute__((always_inline)) void Put(uint8_t byte) {
    if (byte == 0) {
      sink_.Fill(code_at_, run_);
      code_at_ = sink_.Open();
      run_ = 1;
    } else {
      sink_.Put(byte);
      ++run_;
    }
  }

  Sink& sink_;
  uint16_t crc_ = kCrcStart;
  uint8_t code_at_;
  uint8_t run_ = 1;
};

template <class Sink>
void EncodeFrame(uint8_t type, uint8_t sequence, const uint8_t* payload, uint8_t payload_size, Sink& sink) {
  FrameEncoder<Sink> encoder(sink);
  encoder.Add(type);
  encoder.Add(sequence);
  while (payload_size-- != 0) encoder.Add(*payload++);
  encoder.Finish();
}
