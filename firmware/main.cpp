// The boot list: which drivers the instrument plays on, in the order in which they start.
#include <Arduino.h>

#include "drivers/analog.h"
#include "drivers/board_clock.h"
#include "drivers/dac.h"
#include "drivers/eeprom_bytes.h"
#include "drivers/gates.h"
#include "drivers/lock.h"
#include "drivers/serial_line.h"
#include "drivers/watchdog.h"
#include "logic/encoder_knob.h"
#include "logic/instrument.h"
#include "pins.h"

#if !defined(NOONSONG_BAUD)
#define NOONSONG_BAUD 500000
#endif

struct Hardware {
  static constexpr uint8_t kBoard = ::kBoard;
  static constexpr uint8_t kKnobs = ::kKnobs;
  static constexpr uint8_t kCvInputs = ::kCvInputs;
  static constexpr uint8_t kAnalogInputs = ::kKnobs + ::kCvInputs;
  static constexpr uint8_t kGateInputs = sizeof kGateInPins;

  static uint32_t NowUs() { return board_clock::NowUs(); }
  static void WakeTimer(uint32_t us) { board_clock::WakeTimer(us); }
  using Sink = serial_line::Sink;
  static const uint8_t* PeekBytes(uint8_t* size) { return serial_line::Peek(size); }
  static void TakeBytes(uint8_t count) { serial_line::Take(count); }
  static uint8_t BytesWaiting() { return serial_line::Waiting(); }
  static uint8_t TransmitRoom() { return serial_line::TransmitRoom(); }
  static uint16_t Overruns() { return serial_line::Overruns(); }
  static void WriteDac(uint8_t channel, uint16_t dac_code) { dac::Write(channel, dac_code); }
  static void WriteGates(uint8_t levels) { gates::Write(levels); }
  static bool NextEdge(uint8_t* input, bool* high, uint32_t* us) { return gates::NextEdge(input, high, us); }
  static bool GateLevel(uint8_t input) { return gates::Level(input); }
  static uint16_t DroppedEdges() { return gates::DroppedEdges(); }
  static bool EepromReady() { return eeprom_bytes::Ready(); }
  static uint8_t EepromRead(uint8_t address) { return eeprom_bytes::Read(address); }
  static void EepromWrite(uint8_t address, uint8_t byte) { eeprom_bytes::Write(address, byte); }
  static uint8_t ResetCause() { return watchdog::ResetCause(); }
  static void SetLed(bool on) { digitalWrite(kLedPin, on ? HIGH : LOW); }

  static bool ReadConversion(uint8_t* input, uint16_t* adc_code) {
    if (!analog::ReadConversion(input, adc_code)) return false;
#if defined(NOONSONG_QCVG)
    static EncoderKnob encoder;
    if (*input == 0) *adc_code = encoder.Turn(gates::TakeTurns());
#endif
    return true;
  }
};

namespace {

Instrument<Hardware, Lock> instrument;

uint32_t RunVoices() {
  serial_line::PauseTransmit();
  const uint32_t next_us = instrument.voices().Run();
  serial_line::ResumeTransmit();
  return next_us;
}

// The main loop hangs: gates low, every interrupt source off, so that the restart begins like a reset.
void MakeSafe() {
  gates::Write(0);
  board_clock::Stop();
  serial_line::Stop();
  gates::Stop();
}

}  // namespace

void setup() {
  gates::BeginOutputs();
  pinMode(kLedPin, OUTPUT);
  dac::Begin();
  serial_line::Begin(NOONSONG_BAUD);
  board_clock::Begin(RunVoices);
  analog::Begin(Hardware::kAnalogInputs);
  gates::BeginInputs();
  watchdog::Begin(MakeSafe);
  instrument.Begin();
}

void loop() {
  instrument.Poll();
  watchdog::Pat();
}
