// Timed events in order of the time at which work on them must begin.
// One writer (the main loop) and one reader (the timer interrupt): the writer looks for the place with
// interrupts on and only links the event under the lock, so that the reader never waits long.
#pragma once
#include <stdint.h>

enum EventKind : uint8_t { kCvEvent, kGateEvent, kNoteEvent };

struct Event {
  uint32_t start_us;  // when work begins: due time less the lead
  uint32_t length_us;
  uint16_t dac_code;
  uint16_t slew_ms;
  uint16_t period_100us;
  uint8_t repeats;
  uint8_t channel : 4;
  uint8_t kind : 2;
  uint8_t flag : 1;  // gate: high; note: tie
};

// Times wrap every 71 minutes: before and after are told within half of that.
inline bool IsDue(uint32_t due_us, uint32_t now_us) { return static_cast<int32_t>(now_us - due_us) >= 0; }

template <uint8_t kCapacity, class Lock>
class EventQueue {
 public:
  static constexpr uint8_t kNone = 0xFF;

  EventQueue() { Link(); }

  // Returns false when full.
  bool Insert(const Event& event) {
    const uint8_t node = TakeFree();
    if (node == kNone) return false;
    nodes_[node].event = event;
    for (;;) {
      uint8_t before = kNone;
      uint8_t after = head_;
      const uint8_t first = after;
      while (after != kNone && IsDue(nodes_[after].event.start_us, event.start_us)) {
        before = after;
        after = nodes_[after].next;
      }
      Lock lock;
      // The reader takes from the head only: if the head is the same, nothing before our place changed.
      if (head_ != first) continue;
      nodes_[node].next = after;
      if (before == kNone) {
        head_ = node;
      } else {
        nodes_[before].next = node;
      }
      ++used_;
      return true;
    }
  }

  bool Empty() const { return head_ == kNone; }
  uint8_t Used() const { return used_; }
  const Event& Head() const { return nodes_[head_].event; }

  // Reader's side: the caller has interrupts of the writer excluded by being one.
  void Pop() {
    const uint8_t node = head_;
    head_ = nodes_[node].next;
    nodes_[node].next = freed_;
    freed_ = node;
    --used_;
  }

  void Clear() {
    Lock lock;
    Link();
  }

 private:
  struct Node {
    Event event;
    uint8_t next;
  };

  void Link() {
    for (uint8_t i = 0; i < kCapacity; ++i) nodes_[i].next = static_cast<uint8_t>(i + 1);
    nodes_[kCapacity - 1].next = kNone;
    head_ = kNone;
    freed_ = 0;
    used_ = 0;
  }

  uint8_t TakeFree() {
    Lock lock;
    const uint8_t node = freed_;
    if (node != kNone) freed_ = nodes_[node].next;
    return node;
  }

  Node nodes_[kCapacity];
  volatile uint8_t head_;
  volatile uint8_t freed_;
  volatile uint8_t used_;
};
