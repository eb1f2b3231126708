// Hardware without hardware: what the firmware's logic reads and writes, for tests to set and look at.
#pragma once
#include <stdint.h>

#include <deque>
#include <vector>

#include "logic/instrument.h"

struct NoLock {
  NoLock() {}
  ~NoLock() {}
};

struct Edge {
  uint8_t input;
  bool high;
  uint32_t time_us;
};

struct DacWrite {
  uint32_t us;
  uint8_t channel;
  uint16_t dac_code;
};

struct GateWrite {
  uint32_t us;
  uint8_t levels;
};

// All static, as the logic wants it; Clear() starts a fresh board.
struct FakeHardware {
  static constexpr uint8_t kBoard = 1;
  static constexpr uint8_t kKnobs = 6;
  static constexpr uint8_t kCvInputs = 2;
  static constexpr uint8_t kAnalogInputs = 8;
  static constexpr uint8_t kGateInputs = 2;

  static uint32_t now_us;
  static uint32_t tick_us;  // the clock moves this far each time it is read
  static std::vector<uint8_t> incoming;
  static std::vector<uint8_t> outgoing;
  static uint8_t transmit_room;
  static std::vector<DacWrite> dac_writes;
  static std::vector<GateWrite> gate_writes;
  static std::deque<Edge> edges;
  static bool gate_levels[2];
  static uint16_t adc_codes[8];
  static uint8_t adc_next;
  static uint8_t eeprom[64];
  static bool eeprom_fails;
  static bool led;
  static uint32_t woken_for;

  static void Clear() {
    now_us = 1000;
    tick_us = 0;
    incoming.clear();
    outgoing.clear();
    transmit_room = 127;
    dac_writes.clear();
    gate_writes.clear();
    edges.clear();
    gate_levels[0] = gate_levels[1] = false;
    for (uint16_t& code : adc_codes) code = 0;
    adc_next = 0;
    for (uint8_t& byte : eeprom) byte = 0xFF;
    eeprom_fails = false;
    led = false;
  }

  static uint32_t NowUs() { return now_us += tick_us; }
  static void WakeTimer(uint32_t us) { woken_for = us; }
  static const uint8_t* PeekBytes(uint8_t* size) {
    *size = static_cast<uint8_t>(incoming.size() > 100 ? 100 : incoming.size());
    return incoming.data();
  }
  static void TakeBytes(uint8_t count) { incoming.erase(incoming.begin(), incoming.begin() + count); }
  static uint8_t BytesWaiting() { return static_cast<uint8_t>(incoming.size() > 255 ? 255 : incoming.size()); }
  static uint8_t TransmitRoom() { return transmit_room; }

  struct Sink {
    std::vector<uint8_t> bytes;
    uint8_t Open() {
      bytes.push_back(0);
      return static_cast<uint8_t>(bytes.size() - 1);
    }
    void Fill(uint8_t place, uint8_t byte) { bytes.at(place) = byte; }
    void Put(uint8_t byte) { Fill(Open(), byte); }
    void Send() { outgoing.insert(outgoing.end(), bytes.begin(), bytes.end()); }
  };

  static uint16_t Overruns() { return 0; }
  static void WriteDac(uint8_t channel, uint16_t dac_code) { dac_writes.push_back({now_us, channel, dac_code}); }
  static void WriteGates(uint8_t levels) { gate_writes.push_back({now_us, levels}); }
  static bool NextEdge(uint8_t* input, bool* high, uint32_t* time_us) {
    if (edges.empty()) return false;
    *input = edges.front().input;
    *high = edges.front().high;
    *time_us = edges.front().time_us;
    edges.pop_front();
    return true;
  }
  static bool GateLevel(uint8_t input) { return gate_levels[input]; }
  static uint16_t DroppedEdges() { return 0; }
  static bool ReadConversion(uint8_t* input, uint16_t* adc_code) {
    *input = adc_next;
    *adc_code = adc_codes[adc_next];
    adc_next = (adc_next + 1) % 8;
    return true;
  }
  static bool EepromReady() { return true; }
  static uint8_t EepromRead(uint8_t address) { return eeprom[address]; }
  static void EepromWrite(uint8_t address, uint8_t byte) {
    if (!eeprom_fails) eeprom[address] = byte;
  }
  static uint8_t ResetCause() { return 1; }
  static void SetLed(bool on) { led = on; }
};

#define NOONSONG_FAKE_HARDWARE                                                                      \
  uint32_t FakeHardware::now_us, FakeHardware::tick_us, FakeHardware::woken_for;                    \
  std::vector<uint8_t> FakeHardware::incoming, FakeHardware::outgoing;                              \
  uint8_t FakeHardware::transmit_room, FakeHardware::adc_next;                                      \
  std::vector<DacWrite> FakeHardware::dac_writes;                                                   \
  std::vector<GateWrite> FakeHardware::gate_writes;                                                 \
  std::deque<Edge> FakeHardware::edges;                                                             \
  bool FakeHardware::gate_levels[2], FakeHardware::eeprom_fails, FakeHardware::led;                 \
  uint16_t FakeHardware::adc_codes[8];                                                              \
  uint8_t FakeHardware::eeprom[64];                                                                 \
  constexpr uint8_t FakeHardware::kBoard, FakeHardware::kKnobs, FakeHardware::kCvInputs,            \
      FakeHardware::kAnalogInputs, FakeHardware::kGateInputs;
