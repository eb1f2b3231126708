// Keeps interrupts out of a scope.
#pragma once
#include <Arduino.h>

class Lock {
 public:
#if defined(__AVR__)
  Lock() : saved_(SREG) { cli(); }
  ~Lock() {
    __asm__ __volatile__("" ::: "memory");
    SREG = saved_;
  }

 private:
  const uint8_t saved_;
#else
  Lock() { noInterrupts(); }
  ~Lock() { interrupts(); }

 private:
#endif
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
};
