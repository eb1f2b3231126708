// The board's end of the line: whole frames in, frames out, acknowledgements and what went wrong, counted.
#pragma once
#include <stdint.h>

#include "bytes.h"
#include "frame.h"
#include "session.h"

// Hw supplies, as static functions: PeekBytes(&size) (in a row, perhaps not all), TakeBytes(count),
// BytesWaiting(), TransmitRoom() and Sink, what a frame is encoded into.
template <class Hw>
class Link {
 public:
  // True when a whole frame is there and there is room to answer it. Bytes wait in the receive buffer while
  // there is not: nothing is lost on the way out.
  bool NextFrame() {
    while (!waiting_) {
      uint8_t size;
      const uint8_t* const bytes = Hw::PeekBytes(&size);
      if (size == 0) return false;
      FrameDecoder::Result result;
      Hw::TakeBytes(decoder_.Feed(bytes, size, &result));
      waiting_ = result == FrameDecoder::kFrame;
      if (result == FrameDecoder::kBad) {
        ++bad_frames_;
        return false;
      }
    }
    if (!waiting_ || !CanSend()) return false;
    waiting_ = false;
    return true;
  }

  Frame Taken() const { return decoder_.Taken(); }

  static bool CanSend() { return Hw::TransmitRoom() >= kMaxEncoded; }
  // A gate's edge needs little room, so it slips in before the answers that wait for more.
  static bool CanSendEdge() { return Hw::TransmitRoom() >= kMaxTold; }
  // What the board says by itself leaves room for an answer, and waits while the host says much: a flood of
  // knobs must not cost an event.
  static bool CanTell() { return Hw::TransmitRoom() >= kMaxEncoded + kMaxTold && !Busy(); }
  static bool Busy() { return Hw::BytesWaiting() >= kBusyBytes; }

  void Send(uint8_t type, const uint8_t* payload, uint8_t size) {
    typename Hw::Sink sink;
    EncodeFrame(type, sequence_++, payload, size, sink);
    sink.Send();
  }

  void Refuse(const Frame& frame, RefusalReason reason) {
    const uint8_t payload[3] = {frame.sequence, reason, frame.type};
    Send(kRefused, payload, sizeof payload);
  }

  void SendAck(uint8_t queue_free) {
    uint8_t payload[6] = {session_.newest()};
    WriteU32(payload + 1, session_.received());
    payload[5] = queue_free;
    Send(kAck, payload, sizeof payload);
    ack_due_ = false;
    unacknowledged_ = 0;
  }

  // One acknowledgement answers many frames: it waits for a pause, a handful of frames or a millisecond.
  void NoteReliable(uint32_t now_us) {
    if (!ack_due_) ack_since_us_ = now_us;
    ack_due_ = true;
    ++unacknowledged_;
  }
  bool AckDue(uint32_t now_us) const {
    return ack_due_ && (unacknowledged_ >= kFramesPerAck || now_us - ack_since_us_ >= kAckDelayUs);
  }

  Session& session() { return session_; }
  uint16_t bad_frames() const { return bad_frames_; }

 private:
  static constexpr uint8_t kBusyBytes = 24;
  static constexpr uint8_t kMaxTold = 13;  // a knob's or a gate's frame
  static constexpr uint8_t kFramesPerAck = 4;
  static constexpr uint16_t kAckDelayUs = 1000;

  FrameDecoder decoder_;
  Session session_;
  uint32_t ack_since_us_ = 0;
  uint16_t bad_frames_ = 0;
  uint8_t sequence_ = 0;
  uint8_t unacknowledged_ = 0;
  bool ack_due_ = false;
  bool waiting_ = false;
};
