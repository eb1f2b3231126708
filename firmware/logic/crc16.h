// CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF), a byte at a time without a table.
#pragma once
#include <stdint.h>

constexpr uint16_t kCrcStart = 0xFFFF;

inline uint16_t CrcAdd(uint16_t crc, uint8_t byte) {
  crc = static_cast<uint16_t>((crc >> 8) | (crc << 8));
  crc ^= byte;
  crc ^= static_cast<uint8_t>(crc & 0xFF) >> 4;
  crc ^= static_cast<uint16_t>(crc << 12);
  crc ^= static_cast<uint16_t>((crc & 0xFF) << 5);
  return crc;
}
