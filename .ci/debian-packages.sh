#!/bin/sh
# Installs those of the named Debian packages that are missing, with sudo where not root.
# A package that cannot be had is a failure with a sentence.
set -eu

if ! command -v dpkg-query >/dev/null; then
  echo "this needs the packages that Debian calls $*; install what your system calls them, and try again" >&2
  exit 1
fi
missing=""
for package in "$@"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

echo "installing the Debian packages$missing"
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
$as_root apt-get update -qq
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
then
  echo "the packages$missing are needed, and apt could not install them (see above)" >&2
  exit 1
fi
