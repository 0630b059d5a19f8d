#!/bin/sh
# Makes ./configure from a git checkout. Extra arguments are not used: run ./configure yourself afterwards.
set -e
cd "$(dirname "$0")"
mkdir -p m4 build-aux
exec autoreconf --install --force
