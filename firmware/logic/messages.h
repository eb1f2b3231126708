// What may travel on the wire: message types, payload sizes and limits. docs/wire.md states every byte.
#pragma once
#include <stdint.h>

constexpr uint8_t kProtocolLowest = 1;
constexpr uint8_t kProtocolHighest = 1;

constexpr uint8_t kFirmwareMajor = 0;
constexpr uint8_t kFirmwareMinor = 2;
constexpr uint8_t kFirmwarePatch = 1;

constexpr uint8_t kMaxPadding = 24;
constexpr uint8_t kMaxPayload = 10 + kMaxPadding;
constexpr uint8_t kHeaderSize = 2;  // type, sequence
constexpr uint8_t kCrcSize = 2;
constexpr uint8_t kMaxRaw = kHeaderSize + kMaxPayload + kCrcSize;
constexpr uint8_t kMaxEncoded = kMaxRaw + 2;  // one COBS code byte (raw < 254) and the delimiter

constexpr uint32_t kHoldGate = 0xFFFFFFFF;  // gate length that lasts until another event

enum MessageType : uint8_t {
  kHello = 0x01,
  kPing = 0x02,
  kReport = 0x03,
  // From here to 0x1F: acknowledged and sent again when lost.
  kCv = 0x10,
  kGate = 0x11,
  kNote = 0x12,
  kReleaseAll = 0x13,
  kConfigure = 0x14,
  kDacCode = 0x15,
  kReadCalibration = 0x16,
  kWriteCalibration = 0x17,
  kSaveCalibration = 0x18,

  kWelcome = 0x81,
  kPong = 0x82,
  kAck = 0x83,
  kRefused = 0x84,
  kKnob = 0x85,
  kGateIn = 0x86,
  kStatus = 0x87,
  kCalibration = 0x88,
  kSaved = 0x89,
};

inline bool IsReliable(uint8_t type) { return (type & 0xF0) == 0x10; }

enum RefusalReason : uint8_t {
  kUnknownType = 1,
  kBadLength = 2,
  kBadValue = 3,
  kQueueFull = 4,
  kNoSession = 5,
  kProtocol = 6,
  kBusy = 7,  // the leads of planned events hang on this setting
};

enum StatusFlag : uint8_t { kSessionOpen = 1, kFailsafe = 2, kRamping = 4 };

// What a board can do beyond protocol 1's minimum; told in Welcome, append only.
enum Capability : uint16_t { kSlew = 1, kRatchets = 2, kTies = 4, kStoredCalibration = 8, kLedOrders = 16 };
constexpr uint16_t kCapabilities = kSlew | kRatchets | kTies | kStoredCalibration | kLedOrders;

enum ConfigureKey : uint8_t {
  kSettleUs = 1,
  kMinGateOffUs = 2,
  kGateLockoutUs = 3,
  kKnobHysteresis = 4,
  kLed = 5,
};

enum GateFlag : uint8_t { kHigh = 1 };
enum NoteFlag : uint8_t { kTie = 1 };

constexpr uint8_t kLongerAllowed = 0x80;  // Hello alone may grow in later protocols

// Payload size of a message from the host: exact, or a minimum where marked; 0xFF for an unknown type.
inline uint8_t PayloadSize(uint8_t type) {
  switch (type) {
    case kHello: return 2 | kLongerAllowed;
    case kPing: return 2 | kLongerAllowed;
    case kReport: return 0;
    case kCv: return 9;
    case kGate: return 13;
    case kNote: return 17;
    case kReleaseAll: return 0;
    case kConfigure: return 6;
    case kDacCode: return 3;
    case kReadCalibration: return 1;
    case kWriteCalibration: return 11;
    case kSaveCalibration: return 1;
    default: return 0xFF;
  }
}
