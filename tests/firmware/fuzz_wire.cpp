// Any bytes at any time: no crash, no outrun buffer, outputs within their range, gates low once a second silent.
#include <stdint.h>
#include <stdlib.h>

#include "fake_hardware.h"

NOONSONG_FAKE_HARDWARE

using Hw = FakeHardware;

namespace {

void Check(bool holds) {
  if (!holds) abort();
}

void Wrap(const uint8_t* data, size_t size) {
  struct Sink : Hw::Sink {
    void Send() { Hw::incoming.insert(Hw::incoming.end(), bytes.begin(), bytes.end()); }
  } sink;
  EncodeFrame(data[0], data[1], data + 2, static_cast<uint8_t>(size - 2), sink);
  sink.Send();
}

}  // namespace

// The input is a list of portions: a command byte, a size, that many bytes. The command says whether they go
// on the line as they are or inside a good frame (fuzzing alone would hardly ever find a CRC), and how much
// time passes then.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Hw::Clear();
  Hw::tick_us = 1;  // the voices wait for near events by looking at the clock
  Instrument<Hw, NoLock> instrument;
  instrument.Begin();
  const uint8_t hello[4] = {kHello, 0, 1, 1};
  Wrap(hello, sizeof hello);
  while (size >= 2) {
    const uint8_t command = data[0];
    size_t portion = data[1] & 63;
    data += 2;
    size -= 2;
    if (portion > size) portion = size;
    if ((command & 1) && portion >= 2 && portion <= 36) {
      Wrap(data, portion);
    } else {
      Hw::incoming.insert(Hw::incoming.end(), data, data + portion);
    }
    data += portion;
    size -= portion;
    Hw::transmit_room = command & 2 ? 10 : 127;
    for (int turn = 0; turn < 8; ++turn) {
      Hw::adc_codes[turn] = static_cast<uint16_t>((command * 37u + turn) & 1023);
      instrument.Poll();
      instrument.voices().Run();
      Hw::now_us += (command >> 2) * 50u;
    }
  }
  for (const DacWrite& write : Hw::dac_writes) Check(write.channel < 4 && write.dac_code <= 4095);
  for (const GateWrite& write : Hw::gate_writes) Check(write.levels < 16);
  // Whatever it was: the host dies, the gates fall.
  Hw::incoming.clear();
  Hw::transmit_room = 127;
  for (int i = 0; i < 120; ++i) {
    Hw::now_us += 10000;
    instrument.Poll();
    instrument.voices().Run();
  }
  Check(instrument.voices().Gates() == 0);
  Check(instrument.voices().QueueUsed() == 0);
  return 0;
}
