// Knobs, CV inputs and gate inputs: what changed and is still to be told to the host.
#pragma once
#include <stdint.h>

#include "bytes.h"
#include "gate_input.h"
#include "knob_filter.h"
#include "messages.h"

// Hw supplies, as static functions: kAnalogInputs, kGateInputs, ReadConversion(&input, &adc_code),
// NextEdge(&input, &high, &time_us) and GateLevel(input).
template <class Hw, class Sender>
class Inputs {
 public:
  explicit Inputs(Sender& sender) : sender_(sender) {}

  void Poll(uint32_t now_us, bool tell) {
    // A conversion can wait, received bytes cannot.
    if (!Sender::Busy()) PollAnalog();
    if (!tell) return;
    // A turning knob speaks at most once in this time, always with its newest value.
    if (moved_ != 0 && now_us - told_us_ >= kTellEveryUs) {
      told_us_ = now_us;
      allowed_ |= moved_;
    }
    for (uint8_t i = 0; allowed_ != 0 && i < Hw::kAnalogInputs && Sender::CanTell(); ++i) {
      // In turn, or the first ones would leave the last no room.
      if (++turn_ >= Hw::kAnalogInputs) turn_ = 0;
      const uint8_t bit = static_cast<uint8_t>(1 << turn_);
      if (!(allowed_ & bit) || !knobs_[turn_].Known()) continue;
      allowed_ &= static_cast<uint8_t>(~bit);
      moved_ &= static_cast<uint8_t>(~bit);
      SendKnob(turn_, now_us);
    }
    for (uint8_t i = 0; report_gates_ != 0 && i < Hw::kGateInputs; ++i) {
      const uint8_t bit = static_cast<uint8_t>(1 << i);
      if (!(report_gates_ & bit) || !Sender::CanSendEdge()) continue;
      report_gates_ &= static_cast<uint8_t>(~bit);
      SendGate(i);
    }
  }

  void PollGates(uint32_t now_us, bool tell) {
    // Levels first, then the edges: an input with an edge since is left alone, its level is out of date.
    bool levels[Hw::kGateInputs];
    for (uint8_t i = 0; i < Hw::kGateInputs; ++i) levels[i] = Hw::GateLevel(i);
    uint8_t changed = 0;
    uint8_t input;
    bool high;
    uint32_t time_us;
    for (;;) {
      if (tell && !Sender::CanSendEdge()) return;
      if (!Hw::NextEdge(&input, &high, &time_us)) break;
      changed |= static_cast<uint8_t>(1 << input);
      if (gates_[input].Edge(high, time_us) && tell) SendGate(input);
    }
    for (uint8_t i = 0; i < Hw::kGateInputs; ++i) {
      if (changed & (1 << i)) continue;
      if (tell && !Sender::CanSendEdge()) return;
      if (gates_[i].Level(levels[i], now_us) && tell) SendGate(i);
    }
  }

  // Tell everything again, moved or not.
  void ReportAll() {
    moved_ = allowed_ = static_cast<uint8_t>((1u << Hw::kAnalogInputs) - 1);
    report_gates_ = static_cast<uint8_t>((1u << Hw::kGateInputs) - 1);
  }

  uint8_t GateLevels() const {
    uint8_t levels = 0;
    for (uint8_t i = 0; i < Hw::kGateInputs; ++i) levels |= static_cast<uint8_t>(gates_[i].high() << i);
    return levels;
  }
  uint8_t GateCount(uint8_t input) const { return gates_[input].count(); }
  GateInput& gate(uint8_t input) { return gates_[input]; }
  void set_hysteresis(uint8_t hysteresis) { scale_.Set(hysteresis); }

 private:
  static constexpr uint16_t kTellEveryUs = 3000;

  void PollAnalog() {
    uint8_t input;
    uint16_t adc_code;
    if (!Hw::ReadConversion(&input, &adc_code)) return;
    if (knobs_[input].Feed(adc_code, scale_)) moved_ |= static_cast<uint8_t>(1 << input);
  }

  void SendKnob(uint8_t input, uint32_t now_us) {
    uint8_t payload[7] = {input};
    WriteU16(payload + 1, knobs_[input].Value());
    WriteU32(payload + 3, now_us);
    sender_.Send(kKnob, payload, sizeof payload);
  }

  void SendGate(uint8_t input) {
    const GateInput& gate = gates_[input];
    uint8_t payload[7] = {input, gate.high(), gate.count()};
    WriteU32(payload + 3, gate.time_us());
    sender_.Send(kGateIn, payload, sizeof payload);
  }

  Sender& sender_;
  KnobFilter knobs_[Hw::kAnalogInputs];
  GateInput gates_[Hw::kGateInputs];
  uint32_t told_us_ = 0;
  KnobScale scale_;
  uint8_t turn_ = 0;
  uint8_t moved_ = 0;
  uint8_t allowed_ = 0;
  uint8_t report_gates_ = 0;
};
