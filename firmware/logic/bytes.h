// Little-endian fields of the wire, read from and written to plain bytes.
#pragma once
#include <stdint.h>

inline uint16_t ReadU16(const uint8_t* at) { return static_cast<uint16_t>(at[0] | (at[1] << 8)); }

inline uint32_t ReadU32(const uint8_t* at) {
  return static_cast<uint32_t>(ReadU16(at)) | (static_cast<uint32_t>(ReadU16(at + 2)) << 16);
}

inline void WriteU16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value);
  at[1] = static_cast<uint8_t>(value >> 8);
}

inline void WriteU32(uint8_t* at, uint32_t value) {
  WriteU16(at, static_cast<uint16_t>(value));
  WriteU16(at + 2, static_cast<uint16_t>(value >> 16));
}
