#!/bin/sh
# Installs what the tests in C, and their checks of the ABI, are run with. Idempotent, and quick when nothing is missing.
# What cannot be had is named; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=tests/c
. scripts/obtain.sh

need gcc 'has gcc' apt_install gcc libc6-dev
need g++ 'has g++' apt_install g++
need clang 'has clang++' apt_install clang
need valgrind 'has valgrind' apt_install valgrind
need doxygen 'has doxygen' apt_install doxygen
need abidiff 'has abidiff' apt_install abigail-tools
need pkg-config 'has pkg-config' apt_install pkg-config
need openssl 'has openssl' apt_install openssl
all_is_here
