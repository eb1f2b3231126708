# Firmware: compiled with avr-g++ and an installed Arduino core, with PlatformIO's own flags.
# Included by the Makefile; needs gcc-avr, avr-libc and arduino-core-avr (or ARDUINO_AVR pointing elsewhere).

FIRMWARE_OUT ?= build/firmware
ARDUINO_AVR ?= /usr/share/arduino/hardware/arduino/avr
FIRMWARE_FLASH_LIMIT := 24000
FIRMWARE_RAM_LIMIT := 1400

FIRMWARE_SOURCES := $(wildcard firmware/*.cpp firmware/drivers/*.cpp)
FIRMWARE_HEADERS := $(wildcard firmware/*.h firmware/logic/*.h firmware/drivers/*.h)

.PHONY: firmware flash firmware-test firmware-fuzz

firmware:
	@python3 firmware/build.py --core $(ARDUINO_AVR) --out $(FIRMWARE_OUT) \
	  --flash-limit $(FIRMWARE_FLASH_LIMIT) --ram-limit $(FIRMWARE_RAM_LIMIT)

flash:
	pio run -e nanoatmega328 -t upload
