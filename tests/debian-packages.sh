#!/bin/sh
# Installs the Debian packages that the tests need; a package that cannot be had is a failure with a sentence.
set -eu

wanted="
gcc g++ make valgrind
gcc-avr avr-libc binutils-avr arduino-core-avr
simavr libsimavr-dev libelf-dev
doctest-dev clang libclang-rt-14-dev
gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
jackd2 fluidsynth timgm6mb-soundfont
"

if ! command -v dpkg-query >/dev/null; then
  echo "make test needs these Debian packages, and this system has no dpkg; install their like by hand:" $wanted >&2
  exit 1
fi
missing=""
for package in $wanted; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

echo "installing$missing"
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
$as_root apt-get update -qq
if ! DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null; then
  echo "the tests need the packages$missing, and apt could not install them (see above)" >&2
  exit 1
fi
