#include <doctest/doctest.h>

#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <algorithm>
#include <vector>

#include "fake_hardware.h"

using Bytes = std::vector<uint8_t>;

struct CollectingSink : FakeHardware::Sink {};

static Bytes Encode(uint8_t type, uint8_t sequence, const Bytes& payload) {
  CollectingSink sink;
  EncodeFrame(type, sequence, payload.data(), static_cast<uint8_t>(payload.size()), sink);
  return sink.bytes;
}

struct Got {
  std::vector<Bytes> frames;  // type, sequence, payload
  int bad = 0;
};

static void Feed(FrameDecoder& decoder, const uint8_t* data, size_t size, Got& got) {
  while (size != 0) {
    FrameDecoder::Result result;
    const uint8_t taken = decoder.Feed(data, static_cast<uint8_t>(size > 200 ? 200 : size), &result);
    REQUIRE(taken > 0);
    data += taken;
    size -= taken;
    if (result == FrameDecoder::kBad) ++got.bad;
    if (result != FrameDecoder::kFrame) continue;
    const Frame frame = decoder.Taken();
    Bytes all = {frame.type, frame.sequence};
    all.insert(all.end(), frame.payload, frame.payload + frame.payload_size);
    got.frames.push_back(all);
  }
}

static Bytes FromHex(const std::string& text) {
  Bytes bytes;
  for (size_t i = 0; text != "-" && i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TEST_CASE("golden frames encode and decode") {
  std::ifstream file(GOLDEN_FRAMES);
  REQUIRE(file.good());
  std::string line;
  int count = 0;
  while (std::getline(file, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name, type, sequence, payload, frame;
    words >> name >> type >> sequence >> payload >> frame;
    CAPTURE(name);
    const Bytes expected = FromHex(frame);
    const Bytes body = FromHex(payload);
    CHECK(Encode(FromHex(type)[0], FromHex(sequence)[0], body) == expected);
    FrameDecoder decoder;
    Got got;
    Feed(decoder, expected.data(), expected.size(), got);
    REQUIRE(got.frames.size() == 1);
    CHECK(got.frames[0][0] == FromHex(type)[0]);
    CHECK(Bytes(got.frames[0].begin() + 2, got.frames[0].end()) == body);
    const uint8_t size = PayloadSize(got.frames[0][0]);
    const bool from_host = got.frames[0][0] < 0x80;
    if (from_host && !(size & kLongerAllowed)) CHECK(size == body.size());
    ++count;
  }
  CHECK(count >= 22);
}

TEST_CASE("any payload survives any split") {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    Bytes stream;
    std::vector<Bytes> sent;
    for (int f = 0; f < 3; ++f) {
      Bytes payload(random() % (kMaxPayload + 1));
      for (uint8_t& byte : payload) byte = random() % 3 == 0 ? 0 : static_cast<uint8_t>(random());
      const Bytes frame = Encode(static_cast<uint8_t>(random()), static_cast<uint8_t>(f), payload);
      CHECK(std::count(frame.begin(), frame.end(), 0) == 1);
      CHECK(frame.size() <= kMaxEncoded);
      FrameDecoder alone;
      Got one;
      Feed(alone, frame.data(), frame.size(), one);
      REQUIRE(one.frames.size() == 1);
      sent.push_back(one.frames[0]);
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    FrameDecoder decoder;
    Got got;
    for (size_t at = 0; at < stream.size();) {
      const size_t portion = std::min<size_t>(1 + random() % 9, stream.size() - at);
      Feed(decoder, stream.data() + at, portion, got);
      at += portion;
    }
    CHECK(got.frames == sent);
    CHECK(got.bad == 0);
  }
}

TEST_CASE("damage is noticed and the next frame is read") {
  std::mt19937 random(2);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes payload(random() % 20);
    for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random() % 4 ? random() : 0);
    Bytes damaged = Encode(0x10, 1, payload);
    const Bytes whole = damaged;
    // One or two bits anywhere but in the final delimiter.
    for (int flips = 1 + static_cast<int>(random() % 2); flips != 0; --flips) {
      damaged[random() % (damaged.size() - 1)] ^= static_cast<uint8_t>(1u << random() % 8);
    }
    if (damaged == whole) continue;
    const Bytes next = Encode(0x11, 2, payload);
    damaged.insert(damaged.end(), next.begin(), next.end());
    FrameDecoder decoder;
    Got got;
    Feed(decoder, damaged.data(), damaged.size(), got);
    REQUIRE(!got.frames.empty());
    CHECK(got.frames.back()[0] == 0x11);
    accepted += static_cast<int>(got.frames.size()) - 1;
  }
  // A code byte's damage moves zeros about: what sixteen bits of sum cannot see, one in 65536.
  CHECK(accepted <= 3);
}

TEST_CASE("too long and unended frames are skipped") {
  FrameDecoder decoder;
  Got got;
  const Bytes noise(5000, 0xAA);
  Feed(decoder, noise.data(), noise.size(), got);
  CHECK(got.frames.empty());
  const Bytes delimiter = {0, 0, 0};
  Feed(decoder, delimiter.data(), delimiter.size(), got);
  CHECK(got.bad == 1);
  const Bytes frame = Encode(0x13, 9, {});
  Feed(decoder, frame.data(), frame.size(), got);
  REQUIRE(got.frames.size() == 1);
  CHECK(got.bad == 1);
}
