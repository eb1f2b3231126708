#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "fake_hardware.h"
#include "logic/encoder_knob.h"
#include "logic/quadrature.h"

using Hw = FakeHardware;

struct Band {
  Voices<Hw, NoLock> voices;
  Band() { Hw::Clear(); }

  // Lets time pass a microsecond at a time, as the timer would call.
  void RunUntil(uint32_t us) {
    while (static_cast<int32_t>(us - Hw::now_us) > 0) {
      ++Hw::now_us;
      Hw::tick_us = 1;
      voices.Run();
      Hw::tick_us = 0;
    }
  }

  bool Note(uint8_t channel, uint32_t due, uint16_t code, uint32_t length, uint8_t repeats = 0,
            uint16_t period = 0, bool tie = false, uint16_t slew_ms = 0) {
    Event event = {};
    event.kind = kNoteEvent;
    event.channel = channel & 3;
    event.dac_code = code;
    event.length_us = length;
    event.repeats = repeats;
    event.period_100us = period;
    event.flag = tie;
    event.slew_ms = slew_ms;
    return voices.Schedule(event, due);
  }
};

static std::vector<std::pair<uint32_t, bool>> Changes(uint8_t channel) {
  std::vector<std::pair<uint32_t, bool>> changes;
  bool level = false;
  for (const GateWrite& write : Hw::gate_writes) {
    const bool now = write.levels >> channel & 1;
    if (now != level) changes.push_back({write.us, now});
    level = now;
  }
  return changes;
}

static bool Near(uint32_t a, uint32_t b, uint32_t by) { return std::abs(static_cast<int32_t>(a - b)) <= static_cast<int32_t>(by); }

TEST_CASE("a note: voltage, settling, gate, end") {
  Band band;
  REQUIRE(band.Note(1, 50000, 1234, 10000));
  band.RunUntil(70000);
  REQUIRE(Hw::dac_writes.size() == 1);
  CHECK(Hw::dac_writes[0].dac_code == 1234);
  const auto changes = Changes(1);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].first - Hw::dac_writes[0].us >= 20);
  CHECK(Near(changes[0].first, 50000, kGateDelayUs + 2));
  CHECK(Near(changes[1].first - changes[0].first, 10000, 3));
  CHECK(band.voices.counts().late == 0);
}

TEST_CASE("times may wrap") {
  Band band;
  Hw::now_us = 0xFFFFF000u;
  band.voices.Age(Hw::now_us);
  REQUIRE(band.Note(0, 0x00002000u, 1, 1000));
  band.RunUntil(0x00004000u);
  REQUIRE(Changes(0).size() == 2);
  CHECK(Near(Changes(0)[0].first, 0x2000, kGateDelayUs + 2));
}

TEST_CASE("a gate that rested for an hour opens in time") {
  Band band;
  for (int second = 0; second < 2400; ++second) {
    Hw::now_us += 1000000;
    band.voices.Age(Hw::now_us);
  }
  const uint32_t due = Hw::now_us + 10000;
  REQUIRE(band.Note(0, due, 1, 1000));
  band.RunUntil(due + 5000);
  REQUIRE(Changes(0).size() == 2);
  CHECK(Near(Changes(0)[0].first, due, kGateDelayUs + 2));
}

TEST_CASE("repeated notes leave a gap") {
  Band band;
  band.Note(0, 50000, 1, kHoldGate);
  band.Note(0, 60000, 2, kHoldGate);
  band.RunUntil(70000);
  const auto changes = Changes(0);
  REQUIRE(changes.size() == 3);
  CHECK(changes[2].first - changes[1].first >= 2000 - kGateDelayUs);
  CHECK(Near(changes[2].first, 60000, kGateDelayUs + 2));
}

TEST_CASE("a tie leaves the gate open") {
  Band band;
  band.Note(0, 50000, 1, kHoldGate);
  band.Note(0, 60000, 2, 5000, 0, 0, true);
  band.RunUntil(70000);
  const auto changes = Changes(0);
  REQUIRE(changes.size() == 2);
  CHECK(Near(changes[1].first, 65000, kGateDelayUs + 3));
  CHECK(Hw::dac_writes.size() == 2);
}

TEST_CASE("ratchets") {
  Band band;
  band.Note(2, 50000, 1, 3000, 3, 100);
  band.RunUntil(100000);
  const auto changes = Changes(2);
  REQUIRE(changes.size() == 8);
  for (int i = 0; i < 4; ++i) {
    CHECK(Near(changes[2 * i].first, 50000 + 10000u * static_cast<uint32_t>(i), kGateDelayUs + 3));
    CHECK(Near(changes[2 * i + 1].first - changes[2 * i].first, 3000, 4));
  }
}

TEST_CASE("late events fire at once, settled, and are counted") {
  Band band;
  band.Note(3, Hw::now_us - 5000, 77, 1000);
  const uint32_t began = Hw::now_us;
  band.RunUntil(began + 5000);
  REQUIRE(Changes(3).size() == 2);
  CHECK(Changes(3)[0].first - Hw::dac_writes.at(0).us >= 20);
  CHECK(Changes(3)[0].first - began < 2100);
  CHECK(band.voices.counts().late == 1);
}

TEST_CASE("the queue holds 32 in any order and refuses the next") {
  Band band;
  std::mt19937 random(3);
  std::vector<uint32_t> dues;
  for (uint32_t i = 0; i < 32; ++i) dues.push_back(100000 + i * 1000);
  std::shuffle(dues.begin(), dues.end(), random);
  for (uint32_t due : dues) {
    Event event = {};
    event.kind = kCvEvent;
    event.dac_code = static_cast<uint16_t>(due / 1000);
    REQUIRE(band.voices.Schedule(event, due));
  }
  Event event = {};
  CHECK_FALSE(band.voices.Schedule(event, 5));
  CHECK(band.voices.counts().queue_full == 1);
  band.RunUntil(140000);
  REQUIRE(Hw::dac_writes.size() == 32);
  for (uint32_t i = 0; i < 32; ++i) CHECK(Hw::dac_writes[i].dac_code == 100 + i);
  CHECK(band.voices.QueueUsed() == 0);
}

TEST_CASE("release drops gates and plans, keeps voltages") {
  Band band;
  band.Note(0, 50000, 1, kHoldGate);
  band.Note(1, 90000, 2, kHoldGate);
  band.RunUntil(60000);
  CHECK(band.voices.Gates() == 1);
  const size_t writes = Hw::dac_writes.size();
  band.voices.ReleaseAll();
  CHECK(band.voices.Gates() == 0);
  band.RunUntil(100000);
  CHECK(band.voices.Gates() == 0);
  CHECK(Hw::dac_writes.size() == writes);
}

TEST_CASE("a glide is straight and ends exactly") {
  Band band;
  band.voices.WriteNow(0, 1000);
  band.Note(0, 50000, 3000, 1000, 0, 0, false, 100);
  uint16_t last = 1000;
  for (int ms = 0; ms < 200; ++ms) {
    band.RunUntil(Hw::now_us + 1000);
    band.voices.StepGlides(Hw::now_us);
    const uint16_t code = Hw::dac_writes.back().dac_code;
    CHECK(code >= last);
    CHECK(code - last <= 42);
    last = code;
  }
  CHECK(last == 3000);
  CHECK_FALSE(band.voices.Gliding());
}

TEST_CASE("a still knob is silent under noise, a moving one is monotone, both ends are reached") {
  const KnobScale scale;
  std::mt19937 random(4);
  std::uniform_int_distribution<int> noise(-2, 2);
  for (int code : {0, 3, 100, 511, 512, 777, 1020, 1023}) {
    KnobFilter knob;
    int changes = 0;
    for (int i = 0; i < 20000; ++i) {
      const int reading = std::min(1023, std::max(0, code + noise(random)));
      if (knob.Feed(static_cast<uint16_t>(reading), scale) && i > 200) ++changes;
    }
    CAPTURE(code);
    CHECK(changes == 0);
  }
  KnobFilter knob;
  uint16_t last = 0;
  std::vector<bool> seen(1024);
  for (int step = 0; step < 1024 * 16; ++step) {
    knob.Feed(static_cast<uint16_t>(step / 16), scale);
    CHECK(knob.Value() >= last);
    last = knob.Value();
    seen[last] = true;
  }
  for (int i = 0; i < 50; ++i) knob.Feed(1023, scale);
  CHECK(knob.Value() == 1023);
  CHECK(std::count(seen.begin(), seen.end(), true) > 1000);
  for (int i = 0; i < 100; ++i) knob.Feed(0, scale);
  CHECK(knob.Value() == 0);
}

TEST_CASE("a gate input counts the first edge, not the bounces, and misses none") {
  GateInput gate;
  gate.set_lockout_us(5000);
  CHECK(gate.Edge(true, 1000));
  CHECK_FALSE(gate.Edge(false, 1100));
  CHECK_FALSE(gate.Edge(true, 1300));
  CHECK(gate.time_us() == 1000);
  CHECK_FALSE(gate.Level(true, 7000));
  CHECK(gate.Edge(false, 9000));
  CHECK_FALSE(gate.Edge(true, 9500));  // a real edge within the lockout
  CHECK_FALSE(gate.Level(true, 10000));
  CHECK(gate.Level(true, 14100));
  CHECK(gate.time_us() == 9500);
  CHECK(gate.count() == 3);
}

TEST_CASE("calibration: every level within a step of what its table says") {
  Calibration calibration;
  for (uint32_t level = 0; level <= 0xFFFF; ++level) {
    const uint32_t ideal = std::min<uint32_t>((level + 8) / 16, 4095);
    REQUIRE(calibration.DacCode(0, static_cast<uint16_t>(level)) == ideal);
  }
  const int16_t table[5] = {-100, 50, 400, -3000, 3999};
  REQUIRE(calibration.Set(2, table));
  for (uint32_t level = 0; level <= 0xFFFF; ++level) {
    const double volts = level / 16000.0;
    const int octave = std::min(3, static_cast<int>(volts));
    const double corrected = static_cast<double>(level) + table[octave] + (table[octave + 1] - table[octave]) * (volts - octave);
    const double ideal = std::min(4095.0, std::max(0.0, corrected / 16));
    REQUIRE(std::abs(calibration.DacCode(2, static_cast<uint16_t>(level)) - ideal) <= 0.6);
  }
  const int16_t wild[5] = {0, 0, 4001, 0, 0};
  CHECK_FALSE(calibration.Set(2, wild));
}

TEST_CASE("a damaged calibration falls back, a blank one is no damage") {
  uint8_t block[Calibration::kBlockSize];
  Calibration written;
  const int16_t table[5] = {1, 2, 3, 4, 5};
  written.Set(3, table);
  written.Pack(block);
  Calibration read;
  read.Unpack(block);
  CHECK(read.state() == CalibrationState::kStored);
  CHECK(read.Correction(3, 4) == 5);
  for (size_t byte = 0; byte < sizeof block; ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      block[byte] ^= static_cast<uint8_t>(1 << bit);
      read.Unpack(block);
      CHECK(read.state() == CalibrationState::kBroken);
      CHECK(read.Correction(3, 4) == 0);
      block[byte] ^= static_cast<uint8_t>(1 << bit);
    }
  }
  for (uint8_t& byte : block) byte = 0xFF;
  read.Unpack(block);
  CHECK(read.state() == CalibrationState::kDefault);
}

TEST_CASE("sequence numbers: gaps are counted, repeats told from new ones") {
  Session session;
  session.Open(250, 0);
  CHECK(session.Arrive(251) == Session::Arrival::kNew);
  CHECK(session.Arrive(251) == Session::Arrival::kAgain);
  CHECK(session.Arrive(2) == Session::Arrival::kNew);  // 252 to 1 missing
  CHECK(session.lost() == 6);
  CHECK(session.Arrive(255) == Session::Arrival::kNew);
  CHECK(session.Arrive(255) == Session::Arrival::kAgain);
  CHECK(session.Arrive(250) == Session::Arrival::kAgain);
  CHECK((session.received() & 0xF) == 0b1001);
}

TEST_CASE("silence closes the session once") {
  Session session;
  session.Open(0, 1000);
  CHECK_FALSE(session.Expired(1000999));
  CHECK(session.Expired(1001000));
  CHECK_FALSE(session.Expired(2001000));
  CHECK(session.failsafe());
}

TEST_CASE("LED patterns differ") {
  for (int a = 0; a < 4; ++a) {
    for (int b = a + 1; b < 4; ++b) {
      int differ = 0;
      for (uint32_t us = 0; us < 2097152; us += 131072) {
        differ += LedOn(static_cast<LedState>(a), us) != LedOn(static_cast<LedState>(b), us);
      }
      CHECK(differ >= 2);
    }
  }
}

TEST_CASE("an encoder stops at both ends") {
  EncoderKnob knob;
  CHECK(knob.Turn(1000) == 1023);
  CHECK(knob.Turn(-1) == 1011);
  CHECK(knob.Turn(-1000) == 0);
}

TEST_CASE("an encoder's clicks, both ways, halves kept") {
  Quadrature encoder;
  encoder.Begin(3);
  for (uint8_t phase : {1, 0, 2, 3, 1, 0, 2, 3}) encoder.Feed(phase);
  CHECK(encoder.TakeClicks() == 2);
  CHECK(encoder.TakeClicks() == 0);
  for (uint8_t phase : {2, 0}) encoder.Feed(phase);
  CHECK(encoder.TakeClicks() == 0);
  for (uint8_t phase : {1, 3}) encoder.Feed(phase);
  CHECK(encoder.TakeClicks() == -1);
}

TEST_CASE("an encoder begins where its switches stand") {
  for (uint8_t rest : {0, 1, 2, 3}) {
    const uint8_t up[4] = {2, 0, 3, 1};  // the phase after each
    Quadrature encoder;
    encoder.Begin(rest);
    uint8_t phase = rest;
    for (int i = 0; i < 4; ++i) encoder.Feed(phase = up[phase]);
    CHECK(encoder.TakeClicks() == 1);
  }
}

TEST_CASE("an encoder's bounces and jumps count nothing") {
  std::mt19937 random(4);
  Quadrature encoder;
  encoder.Begin(3);
  int clicks = 0;
  const uint8_t up[4] = {1, 0, 2, 3};
  uint8_t before = 3;
  for (int click = 0; click < 1000; ++click) {
    for (uint8_t phase : up) {
      for (unsigned bounces = random() % 4; bounces > 0; --bounces) {
        encoder.Feed(phase);
        encoder.Feed(before);
      }
      encoder.Feed(phase);
      before = phase;
    }
    clicks += encoder.TakeClicks();
  }
  CHECK(clicks == 1000);
  for (int i = 0; i < 100; ++i) encoder.Feed(i % 2 ? 3 : 0);  // both switches at once: no direction
  CHECK(encoder.TakeClicks() == 0);
}

TEST_CASE("an encoder that nobody asks stops counting before it turns round") {
  Quadrature encoder;
  encoder.Begin(3);
  for (int click = 0; click < 100; ++click) {
    for (uint8_t phase : {1, 0, 2, 3}) encoder.Feed(phase);
  }
  CHECK(encoder.TakeClicks() == 31);
}
