// Four voices of CV and gate, driven by timed events: CV, the settling time, then gate.
// Run() belongs to the timer interrupt, everything else to the main loop.
#pragma once
#include <stdint.h>

#include "event_queue.h"
#include "messages.h"

constexpr uint8_t kVoices = 4;
constexpr uint8_t kQueueSize = 32;

// What an ATmega328P needs from the look at the clock to the gates' pins, and to the middle of four voltages.
constexpr uint8_t kGateDelayUs = 26;
constexpr uint8_t kCvDelayUs = 52;
// Events are begun one at a time, 70 us each: so much sooner, eleven that are due together (what ends on every
// output, what begins on it, a clock) are all in time.
constexpr uint16_t kBeginMarginUs = 800;
// Room before the settling time in which four voltages can be written and their gates be planned.
constexpr uint8_t kCvWriteMarginUs = 140;
// How near an event must be for the interrupt to wait for it; above the time the timer wakes it early.
constexpr uint8_t kWaitUs = 40;
// Beyond this an event counts as late.
constexpr uint8_t kLateUs = 50;

struct Timing {
  uint16_t settle_us = 20;         // MCP4822: 4.5 us to half a step, the rest for an output filter
  uint16_t min_gate_off_us = 2000;  // shortest gap a slow envelope's gate input still sees
};

struct Counts {
  uint16_t fired = 0;
  uint16_t late = 0;
  uint16_t queue_full = 0;
};

// Out supplies, as static functions: WriteDac(channel, dac_code), WriteGates(mask) and NowUs().
template <class Out, class Lock>
class Voices {
 public:
  // A glide in progress; the main loop computes its steps. It starts within a step of the time it is due.
  struct Glide {
    uint32_t start_us;
    uint16_t from;
    uint16_t to;
    uint16_t slew_ms;
    bool active;
  };

  // Sets the start of the event's work; returns false when the queue is full (counted).
  bool Schedule(Event& event, uint32_t due_us) {
    event.start_us = due_us - Lead(event);
    if (!queue_.Insert(event)) {
      ++counts_.queue_full;
      return false;
    }
    Lock lock;
    if (IsDue(event.start_us, next_us_)) next_us_ = event.start_us;
    return true;
  }

  // Fires what is due and returns when it wants to be called next (at most kIdleUs ahead).
  uint32_t Run() {
    for (;;) {
      uint32_t now_us;
      do {
        now_us = Out::NowUs() + kGateDelayUs;
        if (!IsDue(next_us_, now_us + kWaitUs)) return next_us_;
        // What is near is waited for: the way through the interrupt takes longer and is less even.
      } while (!IsDue(next_us_, now_us));
      RunGates(now_us);
      RunCvs(now_us);
      // One event at a time: gates and voltages of other voices may have become due meanwhile.
      if (!queue_.Empty() && IsDue(queue_.Head().start_us, now_us)) {
        Begin(queue_.Head(), now_us);
        ++counts_.fired;
        queue_.Pop();
      }
      next_us_ = NextUs(now_us);
    }
  }

  // Every gate low at once, everything planned forgotten; voltages stay.
  void ReleaseAll() {
    Lock lock;
    queue_.Clear();
    for (uint8_t i = 0; i < kVoices; ++i) voices_[i].stage = Stage::kIdle;
    levels_planned_ = 0;
    const uint32_t now_us = Out::NowUs();
    for (uint8_t i = 0; i < kVoices; ++i) {
      if (gates_ & (1 << i)) voices_[i].low_since_us = now_us;
    }
    gates_ = 0;
    Out::WriteGates(0);
  }

  void WriteNow(uint8_t channel, uint16_t dac_code) {
    Lock lock;
    glides_[channel].active = false;
    levels_planned_ &= static_cast<uint8_t>(~(1 << channel));
    codes_[channel] = dac_code;
    Out::WriteDac(channel, dac_code);
  }

  // One step of every glide; called by the main loop about once a millisecond.
  void StepGlides(uint32_t now_us) {
    if (!Gliding()) return;
    for (uint8_t i = 0; i < kVoices; ++i) {
      Glide glide;
      {
        Lock lock;
        glide = glides_[i];
      }
      if (!glide.active) continue;
      const uint32_t elapsed_ms = (now_us - glide.start_us) / 1000;
      const bool done = elapsed_ms >= glide.slew_ms;
      const int32_t span = static_cast<int32_t>(glide.to) - glide.from;
      const uint16_t code =
          done ? glide.to
               : static_cast<uint16_t>(glide.from + span * static_cast<int32_t>(elapsed_ms) / glide.slew_ms);
      Lock lock;
      // A new event may have taken the channel over since the copy was made.
      if (!glides_[i].active || glides_[i].start_us != glide.start_us) continue;
      glides_[i].active = !done;
      if (code == codes_[i]) continue;
      codes_[i] = code;
      Out::WriteDac(i, code);
    }
  }

  // To be called at least every ten minutes: times left behind would wrap into the future.
  void Age(uint32_t now_us) {
    for (uint8_t i = 0; i < kVoices; ++i) {
      Lock lock;
      if (now_us - voices_[i].low_since_us > kForgetUs) voices_[i].low_since_us = now_us - kForgetUs;
    }
  }

  bool Gliding() const {
    return glides_[0].active || glides_[1].active || glides_[2].active || glides_[3].active;
  }
  uint8_t Gates() const { return gates_; }
  uint8_t QueueUsed() const { return queue_.Used(); }
  Timing& timing() { return timing_; }
  Counts counts() const {
    Lock lock;
    return counts_;
  }

  static constexpr uint32_t kIdleUs = 16000;  // half of the range of a 16-bit timer at 0.5 us

 private:
  enum class Stage : uint8_t { kIdle, kCv, kOn, kOff, kAgain };  // kOn: has not risen yet; kAgain: to be repeated

  struct Voice {
    uint32_t next_us = 0;  // when the stage is due
    uint32_t due_us = 0;
    uint32_t length_us = 0;
    uint32_t low_since_us = 0;
    uint16_t dac_code = 0;
    uint16_t slew_ms = 0;
    uint16_t period_100us = 0;
    uint8_t repeats = 0;
    Stage stage = Stage::kIdle;
  };

  // A voltage without a gate.
  struct Level {
    uint32_t next_us = 0;
    uint16_t dac_code = 0;
    uint16_t slew_ms = 0;
  };

  uint16_t Lead(const Event& event) const {
    if (event.kind == kCvEvent || (event.kind == kGateEvent && !event.flag)) return kBeginMarginUs;
    const uint16_t gap_us = event.kind == kNoteEvent && event.flag ? 0 : timing_.min_gate_off_us;
    const uint16_t cv_us = event.kind == kNoteEvent ? CvLeadUs() : 0;
    return static_cast<uint16_t>((cv_us > gap_us ? cv_us : gap_us) + kBeginMarginUs);
  }

  uint16_t CvLeadUs() const { return static_cast<uint16_t>(timing_.settle_us + kCvWriteMarginUs); }

  // First the pins, then the books: all gates due change in one write.
  void RunGates(uint32_t now_us) {
    uint8_t gates = gates_;
    uint8_t due = 0;
    for (uint8_t i = 0, bit = 1; i < kVoices; ++i, bit <<= 1) {
      const Voice& voice = voices_[i];
      if (voice.stage < Stage::kOn || !IsDue(voice.next_us, now_us)) continue;
      due |= bit;
      if (voice.stage == Stage::kOff) {
        gates &= static_cast<uint8_t>(~bit);
      } else {
        gates |= bit;
      }
    }
    if (due == 0) return;
    WriteGates(gates);
    for (Voice* voice = voices_; due != 0; ++voice, due >>= 1) {
      if (due & 1) Advance(voice, now_us);
    }
  }

  static void Advance(Voice* voice, uint32_t now_us) {
    if (voice->stage != Stage::kOff) {
      voice->stage = voice->length_us == kHoldGate ? Stage::kIdle : Stage::kOff;
      voice->next_us += voice->length_us;
      return;
    }
    voice->low_since_us = now_us;
    voice->stage = Stage::kIdle;
    if (voice->repeats == 0) return;
    --voice->repeats;
    voice->due_us += static_cast<uint32_t>(voice->period_100us) * 100;
    voice->next_us = voice->due_us;
    voice->stage = Stage::kAgain;
  }

  void WriteGates(uint8_t gates) {
    if (gates == gates_) return;
    gates_ = gates;
    Out::WriteGates(gates);
  }

  // Again the outputs first, one voltage right after the other.
  void RunCvs(uint32_t now_us) {
    uint8_t notes = 0;
    uint8_t levels = 0;
    for (uint8_t i = 0, bit = 1; i < kVoices; ++i, bit <<= 1) {
      if (voices_[i].stage == Stage::kCv && IsDue(voices_[i].next_us, now_us)) notes |= bit;
      if ((levels_planned_ & bit) && IsDue(levels_[i].next_us, now_us)) levels |= bit;
    }
    if ((notes | levels) == 0) return;
    levels_planned_ &= static_cast<uint8_t>(~levels);
    for (uint8_t i = 0, bit = 1; i < kVoices; ++i, bit <<= 1) {
      if (notes & bit) {
        if (voices_[i].slew_ms == 0) Out::WriteDac(i, voices_[i].dac_code);
      } else if (levels & bit) {
        if (levels_[i].slew_ms == 0) Out::WriteDac(i, levels_[i].dac_code);
      }
    }
    const uint32_t written_us = Out::NowUs();
    RunGates(written_us + kGateDelayUs);  // gates that are due with the voltages do not wait for the books
    const uint32_t settled_us = written_us + timing_.settle_us + 1;  // 1: the clock rounds down
    for (uint8_t i = 0, bit = 1; i < kVoices; ++i, bit <<= 1) {
      if (levels & bit) NoteCv(i, levels_[i].dac_code, levels_[i].slew_ms, now_us);
      if (notes & bit) {
        NoteCv(i, voices_[i].dac_code, voices_[i].slew_ms, now_us);
        PlanGateOn(voices_[i], settled_us);
      }
    }
  }

  // The gate opens when due, but never before `earliest_us` nor too soon after it closed.
  void PlanGateOn(Voice& voice, uint32_t earliest_us) {
    const uint32_t gap_end_us = voice.low_since_us + timing_.min_gate_off_us;
    if (IsDue(earliest_us, gap_end_us)) earliest_us = gap_end_us;
    voice.stage = Stage::kOn;
    voice.next_us = voice.due_us;
    // A gate fires ahead by its delay to the pin: the earliest time is that of the pin.
    if (IsDue(earliest_us, voice.due_us)) return;
    CountLate(voice.due_us, earliest_us);
    voice.next_us = voice.due_us = earliest_us + kGateDelayUs;
  }

  void Begin(const Event& event, uint32_t now_us) {
    const uint32_t due_us = event.start_us + Lead(event);
    const uint8_t channel = event.channel;
    Voice& voice = voices_[channel];
    if (event.kind == kCvEvent) {
      PlanLevel(event, due_us, now_us);
      return;
    }
    if (event.kind == kGateEvent && !event.flag) {
      PlanGateOff(voice, due_us, now_us);
      return;
    }
    const bool tie = event.kind == kNoteEvent && event.flag;
    const uint8_t bit = static_cast<uint8_t>(1 << channel);
    if ((gates_ & bit) && !tie) {
      WriteGates(gates_ & static_cast<uint8_t>(~bit));
      voice.low_since_us = now_us;
    }
    voice.due_us = due_us;
    voice.length_us = event.length_us;
    voice.repeats = event.repeats;
    voice.period_100us = event.period_100us;
    if (event.kind == kGateEvent) {
      PlanGateOn(voice, now_us);
      return;
    }
    voice.dac_code = event.dac_code;
    voice.slew_ms = event.slew_ms;
    voice.stage = Stage::kCv;
    voice.next_us = due_us - CvLeadUs() + kGateDelayUs - kCvDelayUs;
  }

  void PlanLevel(const Event& event, uint32_t due_us, uint32_t now_us) {
    CountLate(due_us, now_us);
    Level& level = levels_[event.channel];
    const uint8_t bit = static_cast<uint8_t>(1 << event.channel);
    if (levels_planned_ & bit) {  // two so near each other: the first a little early, rather than never
      if (level.slew_ms == 0) Out::WriteDac(event.channel, level.dac_code);
      NoteCv(event.channel, level.dac_code, level.slew_ms, now_us);
    }
    level.next_us = due_us + kGateDelayUs - kCvDelayUs;
    level.dac_code = event.dac_code;
    level.slew_ms = event.slew_ms;
    levels_planned_ |= bit;
  }

  // Ends what was due before, be it still to begin, and nothing that is due at the same time or later.
  void PlanGateOff(Voice& voice, uint32_t due_us, uint32_t now_us) {
    CountLate(due_us, now_us);
    if (voice.stage == Stage::kCv || voice.stage == Stage::kOn) {
      if (IsDue(due_us, voice.due_us)) return;
      voice.length_us = due_us - voice.due_us;
    } else {
      voice.stage = Stage::kOff;
      voice.next_us = due_us;
    }
    voice.repeats = 0;
  }

  void CountLate(uint32_t due_us, uint32_t now_us) {
    if (IsDue(due_us + kLateUs, now_us)) ++counts_.late;
  }

  // Keeps what a channel is at, or sets it gliding.
  void NoteCv(uint8_t channel, uint16_t dac_code, uint16_t slew_ms, uint32_t now_us) {
    Glide& glide = glides_[channel];
    glide.active = slew_ms != 0;
    if (slew_ms == 0) {
      codes_[channel] = dac_code;
      return;
    }
    glide.start_us = now_us;
    glide.from = codes_[channel];
    glide.to = dac_code;
    glide.slew_ms = slew_ms;
  }

  uint32_t NextUs(uint32_t now_us) const {
    uint32_t next_us = now_us + kIdleUs;
    if (!queue_.Empty() && IsDue(queue_.Head().start_us, next_us)) next_us = queue_.Head().start_us;
    for (uint8_t i = 0; i < kVoices; ++i) {
      if (voices_[i].stage != Stage::kIdle && IsDue(voices_[i].next_us, next_us)) next_us = voices_[i].next_us;
      if ((levels_planned_ & (1 << i)) && IsDue(levels_[i].next_us, next_us)) next_us = levels_[i].next_us;
    }
    return next_us;
  }

  static constexpr uint32_t kForgetUs = 10000000;

  EventQueue<kQueueSize, Lock> queue_;
  uint32_t next_us_ = 0;
  Voice voices_[kVoices];
  Level levels_[kVoices];
  uint8_t levels_planned_ = 0;  // a bit each
  Glide glides_[kVoices] = {};
  uint16_t codes_[kVoices] = {};
  volatile uint8_t gates_ = 0;
  Timing timing_;
  Counts counts_;
};
