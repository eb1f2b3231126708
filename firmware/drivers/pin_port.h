// One output pin by its port register: digitalWrite() takes too long inside the timer interrupt.
#pragma once
#include <Arduino.h>

class PinPort {
 public:
#if defined(__AVR__)
  using Register = volatile uint8_t*;

  void Attach(uint8_t pin) {
    port_ = portOutputRegister(digitalPinToPort(pin));
    mask_ = digitalPinToBitMask(pin);
  }
  void High() const { *port_ |= mask_; }
  void Low() const { *port_ &= static_cast<uint8_t>(~mask_); }
  Register port() const { return port_; }
  uint8_t mask() const { return mask_; }

 private:
  Register port_;
  uint8_t mask_;
#else
  void Attach(uint8_t pin) { pin_ = pin; }
  void High() const { digitalWrite(pin_, HIGH); }
  void Low() const { digitalWrite(pin_, LOW); }

 private:
  uint8_t pin_;
#endif
};
