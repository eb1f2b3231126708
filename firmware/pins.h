// Which pin does what, per board. The outputs are those of the QCVG (Quad Control Voltage Generator).
#pragma once
#include <Arduino.h>

constexpr uint8_t kGateOutPins[4] = {4, 5, 6, 7};
constexpr uint8_t kDacSelectPins[2] = {8, 9};
// Not 13: that is the DACs' clock on a Nano. 10 must be an output anyway while the board is SPI master.
constexpr uint8_t kLedPin = 10;

#if defined(NOONSONG_QCVG)
// The QCVG has an encoder where we have gate inputs; it stands for the first knob, its button for a gate.
constexpr uint8_t kEncoderPins[2] = {2, 3};
constexpr uint8_t kGateInPins[1] = {12};
#else
constexpr uint8_t kGateInPins[2] = {2, 3};
#endif

constexpr uint8_t kKnobs = 6;  // A0 to A5
#if defined(__AVR_ATmega32U4__)
constexpr uint8_t kCvInputs = 0;  // A6 and A7 share their pins with the gates there
#else
constexpr uint8_t kCvInputs = 2;  // A6 and A7
#endif

// Told to the host; append only.
enum Board : uint8_t { kBoardNano = 1, kBoardUno, kBoardMega, kBoardLeonardo, kBoardMicro, kBoardTeensy40 };

#if defined(ARDUINO_AVR_NANO)
constexpr uint8_t kBoard = kBoardNano;
#elif defined(ARDUINO_AVR_UNO)
constexpr uint8_t kBoard = kBoardUno;
#elif defined(ARDUINO_AVR_MEGA2560)
constexpr uint8_t kBoard = kBoardMega;
#elif defined(ARDUINO_AVR_LEONARDO)
constexpr uint8_t kBoard = kBoardLeonardo;
#elif defined(ARDUINO_AVR_MICRO)
constexpr uint8_t kBoard = kBoardMicro;
#elif defined(ARDUINO_TEENSY40)
constexpr uint8_t kBoard = kBoardTeensy40;
#else
#error "This board has no pin map yet: add it to firmware/pins.h"
#endif
