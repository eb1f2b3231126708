#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "fake_hardware.h"

NOONSONG_FAKE_HARDWARE
