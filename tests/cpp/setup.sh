#!/bin/sh
# Installs what the tests in C++ are built with. Idempotent, and quick when nothing is missing. What cannot be had is
# named; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=tests/cpp
. scripts/obtain.sh

has_sanitizers() { ls "$(clang++ -print-resource-dir)"/lib/*/libclang_rt.asan*.a >/dev/null 2>&1; }
install_sanitizers() { apt_install "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"; }
includes_cpp() { includes "$1" "${CXX:-c++} -x c++"; }

need g++ 'has g++' apt_install g++
need clang++ 'has clang++' apt_install clang
need "clang's sanitizers" has_sanitizers install_sanitizers
need doctest 'includes_cpp doctest/doctest.h' apt_install doctest-dev
need Boost 'includes_cpp boost/asio.hpp' apt_install libboost-dev
need CMake 'has cmake' apt_install cmake
need pkg-config 'has pkg-config' apt_install pkg-config
all_is_here
