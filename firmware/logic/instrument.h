// The board as a whole: what each message does, and what is done between messages.
#pragma once
#include <stdint.h>

#include "calibration.h"
#include "calibration_store.h"
#include "event_queue.h"
#include "inputs.h"
#include "link.h"
#include "messages.h"
#include "status_led.h"
#include "voices.h"

// Hw: the static functions that Link, Inputs, Voices and CalibrationStore ask for, and SetLed(on),
// WakeTimer(us), Overruns(), DroppedEdges(), kBoard, kResetCause(), kKnobs, kCvInputs.
template <class Hw, class Lock>
class Instrument {
 public:
  Instrument() : inputs_(link_), store_(calibration_) {}

  void Begin() {
    store_.Load();
    if (calibration_.state() == CalibrationState::kBroken) calibration_lost_ = true;
    welcome_due_ = true;
  }

  // One turn of the main loop.
  void Poll() {
    Session& session = link_.session();
    inputs_.PollGates(Hw::NowUs(), session.open());
    uint8_t frames = kFramesPerTurn;
    do {
      if (link_.NextFrame()) Handle(link_.Taken());
    } while (Link<Hw>::Busy() && --frames != 0);
    // Read after the frame was handled: no time kept below may lie ahead of it.
    const uint32_t now_us = Hw::NowUs();
    const uint32_t turn_us = now_us - turn_started_us_;
    if (turn_us > turn_max_us_) turn_max_us_ = turn_us > 0xFFFF ? 0xFFFF : static_cast<uint16_t>(turn_us);
    turn_started_us_ = now_us;
    if (session.Expired(now_us)) voices_.ReleaseAll();
    inputs_.Poll(now_us, session.open());
    if (link_.AckDue(now_us) && link_.CanSend()) link_.SendAck(QueueFree());
    if (store_.Poll()) saved_due_ = true;
    Announce(now_us);
    if (now_us - millisecond_us_ >= 1000) {
      millisecond_us_ = now_us;
      voices_.StepGlides(now_us);
      const bool ordered = session.open() && led_order_ != LedOrder::kOwn;
      Hw::SetLed(ordered ? led_order_ == LedOrder::kLit : LedOn(Led(), now_us));
    }
  }

  Voices<Hw, Lock>& voices() { return voices_; }

 private:
  static constexpr uint8_t kFramesPerTurn = 6;
  static constexpr uint32_t kStatusEveryUs = 100000;
  static constexpr int32_t kFarthestUs = 60000000;  // an event further ahead than a minute is a mistake
  static constexpr uint32_t kLongestUs = 0x3FFFFFFF;

  uint8_t QueueFree() const { return static_cast<uint8_t>(kQueueSize - voices_.QueueUsed()); }

  LedState Led() {
    if (link_.session().failsafe()) return LedState::kHostLost;
    if (calibration_lost_) return LedState::kCalibrationLost;
    return link_.session().open() ? LedState::kPlaying : LedState::kWaiting;
  }

  void Announce(uint32_t now_us) {
    Session& session = link_.session();
    if (welcome_due_ && link_.CanSend()) {
      welcome_due_ = false;
      SendWelcome();
    }
    if (saved_due_ && link_.CanSend()) {
      saved_due_ = false;
      const uint8_t state = static_cast<uint8_t>(calibration_.state());
      link_.Send(kSaved, &state, 1);
    }
    if (!session.open() && !session.failsafe()) return;
    if (now_us - status_us_ < kStatusEveryUs || !link_.CanSend()) return;
    status_us_ = now_us;
    voices_.Age(now_us);
    SendStatus(now_us);
  }

  void Handle(const Frame& frame) {
    const uint32_t now_us = Hw::NowUs();
    Session& session = link_.session();
    const uint8_t expected = PayloadSize(frame.type);
    if (expected == 0xFF) return link_.Refuse(frame, kUnknownType);
    const uint8_t least = expected & static_cast<uint8_t>(~kLongerAllowed);
    const bool fits = expected & kLongerAllowed ? frame.payload_size >= least : frame.payload_size == least;
    if (!fits) return link_.Refuse(frame, kBadLength);
    if (frame.type == kHello) return Hello(frame, now_us);
    if (!session.open()) return link_.Refuse(frame, kNoSession);
    session.Heard(now_us);
    const bool again = session.Arrive(frame.sequence) == Session::Arrival::kAgain;
    if (IsReliable(frame.type)) link_.NoteReliable(now_us);
    if (again) return;
    const uint8_t reason = Act(frame, now_us);
    if (reason != 0) link_.Refuse(frame, static_cast<RefusalReason>(reason));
  }

  void Hello(const Frame& frame, uint32_t now_us) {
    Session& session = link_.session();
    const uint8_t lowest = frame.payload[0];
    const uint8_t highest = frame.payload[1];
    if (highest < kProtocolLowest || lowest > kProtocolHighest) {
      session.Close();
      voices_.ReleaseAll();
      link_.Refuse(frame, kProtocol);
      welcome_due_ = true;  // so that the host can tell its player which versions would fit
    } else {
      // A host that starts anew knows nothing of the gates another left open.
      voices_.ReleaseAll();
      session.Open(frame.sequence, now_us);
      led_order_ = LedOrder::kOwn;
      inputs_.ReportAll();
      SendWelcome();
    }
  }

  // Returns 0 or the reason of a refusal.
  uint8_t Act(const Frame& frame, uint32_t now_us) {
    const uint8_t* const payload = frame.payload;
    switch (frame.type) {
      case kPing: return Ping(frame, now_us);
      case kReport:
        inputs_.ReportAll();
        status_us_ = now_us - kStatusEveryUs;
        return 0;
      case kCv:
      case kGate:
      case kNote: return Schedule(frame.type, payload, now_us);
      case kReleaseAll: voices_.ReleaseAll(); return 0;
      case kConfigure: return Configure(payload[0], payload[1], ReadU32(payload + 2));
      case kDacCode:
        if (payload[0] >= kVoices || ReadU16(payload + 1) > kMaxDacCode) return kBadValue;
        voices_.WriteNow(payload[0], ReadU16(payload + 1));
        return 0;
      case kReadCalibration: return SendCalibration(payload[0]);
      case kWriteCalibration: {
        int16_t corrections[kCalibrationPoints];
        for (uint8_t p = 0; p < kCalibrationPoints; ++p) {
          corrections[p] = static_cast<int16_t>(ReadU16(payload + 1 + 2 * p));
        }
        if (payload[0] >= kVoices || !calibration_.Set(payload[0], corrections)) return kBadValue;
        return 0;
      }
      case kSaveCalibration:
        if (payload[0] > 1) return kBadValue;
        if (payload[0] == 1) calibration_.Reset();
        calibration_lost_ = false;
        store_.StartSave();
        return 0;
      default: return kUnknownType;
    }
  }

  uint8_t Ping(const Frame& frame, uint32_t now_us) {
    if (frame.payload_size > 2 + kMaxPadding) return kBadLength;
    uint8_t payload[kMaxPayload];
    payload[0] = frame.payload[0];
    payload[1] = frame.payload[1];
    WriteU32(payload + 2, now_us);
    for (uint8_t i = 2; i < frame.payload_size; ++i) payload[8 + i] = frame.payload[i];
    WriteU32(payload + 6, Hw::NowUs());
    link_.Send(kPong, payload, static_cast<uint8_t>(frame.payload_size + 8));
    return 0;
  }

  uint8_t Schedule(uint8_t type, const uint8_t* payload, uint32_t now_us) {
    Event event = {};
    uint32_t due_us;
    const uint8_t channel = payload[0];
    if (channel >= kVoices) return kBadValue;
    event.channel = channel & 0x0F;
    if (type == kCv) {
      event.kind = kCvEvent;
      due_us = ReadU32(payload + 1);
      event.dac_code = calibration_.DacCode(channel, ReadU16(payload + 5));
      event.slew_ms = ReadU16(payload + 7);
    } else {
      const uint8_t* tail = payload + 6;
      event.kind = kGateEvent;
      event.flag = payload[1] & 1;
      due_us = ReadU32(payload + 2);
      if (type == kNote) {
        event.kind = kNoteEvent;
        event.dac_code = calibration_.DacCode(channel, ReadU16(payload + 6));
        event.slew_ms = ReadU16(payload + 8);
        tail = payload + 10;
      }
      event.length_us = ReadU32(tail);
      event.repeats = tail[4];
      event.period_100us = ReadU16(tail + 5);
      if (event.length_us != kHoldGate && event.length_us > kLongestUs) return kBadValue;
      if (event.repeats != 0 && static_cast<uint32_t>(event.period_100us) * 100 <= event.length_us) {
        return kBadValue;
      }
    }
    if (static_cast<int32_t>(due_us - now_us) > kFarthestUs) return kBadValue;
    if (!voices_.Schedule(event, due_us)) return kQueueFull;
    Hw::WakeTimer(event.start_us);
    return 0;
  }

  uint8_t Configure(uint8_t key, uint8_t index, uint32_t value) {
    switch (key) {
      case kSettleUs:
        if (value > 10000) return kBadValue;
        if (voices_.QueueUsed() != 0) return kBusy;
        voices_.timing().settle_us = static_cast<uint16_t>(value);
        return 0;
      case kMinGateOffUs:
        if (value > 50000) return kBadValue;
        if (voices_.QueueUsed() != 0) return kBusy;
        voices_.timing().min_gate_off_us = static_cast<uint16_t>(value);
        return 0;
      case kGateLockoutUs:
        if (index >= Hw::kGateInputs || value > 200000) return kBadValue;
        inputs_.gate(index).set_lockout_us(value);
        return 0;
      case kKnobHysteresis:
        if (value > 160) return kBadValue;
        inputs_.set_hysteresis(static_cast<uint8_t>(value));
        return 0;
      case kLed:
        if (value > static_cast<uint8_t>(LedOrder::kLit)) return kBadValue;
        led_order_ = static_cast<LedOrder>(value);
        return 0;
      default: return kBadValue;
    }
  }

  uint8_t SendCalibration(uint8_t channel) {
    if (channel >= kVoices) return kBadValue;
    uint8_t payload[2 + 2 * kCalibrationPoints] = {channel, static_cast<uint8_t>(calibration_.state())};
    for (uint8_t p = 0; p < kCalibrationPoints; ++p) {
      WriteU16(payload + 2 + 2 * p, static_cast<uint16_t>(calibration_.Correction(channel, p)));
    }
    link_.Send(kCalibration, payload, sizeof payload);
    return 0;
  }

  void SendWelcome() {
    uint8_t payload[17] = {kProtocolLowest,
                           kProtocolHighest,
                           kFirmwareMajor,
                           kFirmwareMinor,
                           kFirmwarePatch,
                           Hw::kBoard,
                           kVoices,
                           kVoices,
                           Hw::kKnobs,
                           Hw::kCvInputs,
                           Hw::kGateInputs,
                           kQueueSize};
    WriteU16(payload + 12, kCapabilities);
    payload[14] = Hw::ResetCause();
    payload[15] = static_cast<uint8_t>(calibration_.state());
    payload[16] = link_.session().open();
    link_.Send(kWelcome, payload, sizeof payload);
  }

  void SendStatus(uint32_t now_us) {
    Session& session = link_.session();
    const Counts counts = voices_.counts();
    uint8_t payload[26];
    WriteU32(payload, now_us);
    payload[4] = static_cast<uint8_t>((session.open() ? kSessionOpen : 0) |
                                      (session.failsafe() ? kFailsafe : 0) |
                                      (voices_.Gliding() ? kRamping : 0));
    payload[5] = voices_.Gates();
    payload[6] = inputs_.GateLevels();
    payload[7] = voices_.QueueUsed();
    WriteU16(payload + 8, counts.fired);
    WriteU16(payload + 10, counts.late);
    WriteU16(payload + 12, counts.queue_full);
    WriteU16(payload + 14, link_.bad_frames());
    WriteU16(payload + 16, Hw::Overruns());
    WriteU16(payload + 18, session.lost());
    WriteU16(payload + 20, Hw::DroppedEdges());
    WriteU16(payload + 22, turn_max_us_);
    payload[24] = inputs_.GateCount(0);
    payload[25] = Hw::kGateInputs > 1 ? inputs_.GateCount(Hw::kGateInputs - 1) : 0;
    link_.Send(kStatus, payload, sizeof payload);
    turn_max_us_ = 0;
  }

  Link<Hw> link_;
  Inputs<Hw, Link<Hw>> inputs_;
  Voices<Hw, Lock> voices_;
  Calibration calibration_;
  CalibrationStore<Hw> store_;
  uint32_t turn_started_us_ = 0;
  uint32_t status_us_ = 0;
  uint32_t millisecond_us_ = 0;
  uint16_t turn_max_us_ = 0;
  bool welcome_due_ = false;
  bool saved_due_ = false;
  bool calibration_lost_ = false;
  LedOrder led_order_ = LedOrder::kOwn;
};
