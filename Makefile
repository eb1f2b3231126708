# Two commands do all the set-up: `make play` and `make test`.
#   make play [ARGS='--seconds 20 --record out.mid --no-panel']
#   make test      everything that can be checked without hardware (installs what that needs)

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
ARGS ?=
TESTS ?= tests

# python-rtmidi is compiled where it has no wheel (Python 3.12 and later).
BUILD_PACKAGES := build-essential pkg-config libasound2-dev libjack-jackd2-dev
TEST_PACKAGES := $(BUILD_PACKAGES) valgrind \
  gcc-avr avr-libc binutils-avr arduino-core-avr simavr libsimavr-dev libelf-dev \
  doctest-dev clang libclang-rt-14-dev \
  gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user qemu-user-static \
  jackd2 fluidsynth timgm6mb-soundfont chromium firefox-esr pulseaudio

.PHONY: play test lint format dev packages clean

play: $(VENV)/.play
	@$(RUN)/noonsong play $(ARGS)

test: packages dev lint firmware
	$(RUN)/python -m pytest -n 2 --dist loadgroup $(TESTS)

lint: dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: dev
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

dev: $(VENV)/.dev

packages:
	@.ci/debian-packages.sh $(TEST_PACKAGES)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "noonsong needs Python 3.11 or newer, and $(PYTHON) is not; name another: make play PYTHON=python3.13"; \
	  exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "no virtual environment could be made: apt install python3-venv"; rm -rf $(VENV); exit 1; }

INSTALL = $(RUN)/pip install --quiet --disable-pip-version-check -e

# What the box needs: no torch. The kernel is compiled here, so its sources count too.
$(VENV)/.play: pyproject.toml setup.py $(wildcard quantize/kernel/*) | $(VENV)/bin/python
	@echo "installing, once ..."
	@$(INSTALL) . >$(VENV)/install.log 2>&1 || { .ci/debian-packages.sh $(BUILD_PACKAGES) && $(INSTALL) .; }
	@touch $@

# What learning and testing need.
$(VENV)/.dev: pyproject.toml setup.py $(wildcard quantize/kernel/*) | $(VENV)/bin/python
	$(INSTALL) '.[train,dev,bench]'
	@touch $@ $(VENV)/.play

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

include firmware/firmware.mk
