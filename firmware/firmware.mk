# Firmware: compiled with avr-g++ and an installed Arduino core, with PlatformIO's own flags.
# Included by the Makefile; needs gcc-avr, avr-libc and arduino-core-avr (or ARDUINO_AVR pointing elsewhere).

FIRMWARE_OUT ?= build/firmware
VENV ?= .venv
ARDUINO_AVR ?= /usr/share/arduino/hardware/arduino/avr
FIRMWARE_FLASH_LIMIT := 24000
FIRMWARE_RAM_LIMIT := 1400


.PHONY: firmware flash firmware-test firmware-fuzz

firmware:
	@python3 firmware/build.py --core $(ARDUINO_AVR) --out $(FIRMWARE_OUT) \
	  --flash-limit $(FIRMWARE_FLASH_LIMIT) --ram-limit $(FIRMWARE_RAM_LIMIT)

flash:
	pio run -e nanoatmega328 -t upload

firmware-test:
	$(VENV)/bin/python -m pytest tests/firmware tests/sim tests/host/test_wire.py tests/host/test_board_session.py

# Longer than the tests do; new inputs worth keeping go to tests/firmware/corpus.
FUZZ_SECONDS ?= 300
firmware-fuzz:
	@mkdir -p $(FIRMWARE_OUT)
	clang++ -std=c++11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	  -Ifirmware -Itests/firmware tests/firmware/fuzz_wire.cpp -o $(FIRMWARE_OUT)/fuzz
	$(FIRMWARE_OUT)/fuzz tests/firmware/corpus -max_total_time=$(FUZZ_SECONDS) -max_len=600 -timeout=10
