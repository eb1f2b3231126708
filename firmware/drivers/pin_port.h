// One pin by its port registers: digitalWrite() and digitalRead() take too long inside interrupts.
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
  void AttachInput(uint8_t pin) {
    port_ = portInputRegister(digitalPinToPort(pin));
    mask_ = digitalPinToBitMask(pin);
  }
  bool IsHigh() const { return *port_ & mask_; }
  void High() const { *port_ |= mask_; }
  void Low() const { *port_ &= static_cast<uint8_t>(~mask_); }
  Register port() const { return port_; }
  uint8_t mask() const { return mask_; }

 private:
  Register port_;
  uint8_t mask_;
#else
  void Attach(uint8_t pin) { pin_ = pin; }
  void AttachInput(uint8_t pin) { pin_ = pin; }
  bool IsHigh() const { return digitalRead(pin_) == HIGH; }
  void High() const { digitalWrite(pin_, HIGH); }
  void Low() const { digitalWrite(pin_, LOW); }

 private:
  uint8_t pin_;
#endif
};
