#!/bin/sh
# Makes build/dist/venv with what packages are built and tested with. Idempotent, and quick when nothing is missing.
set -u
cd "$(dirname "$0")/.." || exit 1
subject=dist
. scripts/obtain.sh

wanted=$(requirements packaging/dist-requirements.txt)
# shellcheck disable=SC2086 # one word for each requirement
need "$wanted" "has_environment build/dist/venv $wanted" make_environment build/dist/venv $wanted
need CMake 'has cmake' apt_install cmake
need pkg-config 'has pkg-config' apt_install pkg-config
need "musl's loader" 'test -e /lib/ld-musl-x86_64.so.1' apt_install musl
[ -z "$missing" ]
