#!/bin/sh
# Installs what the tests in C++ are built with. Idempotent, and quick when nothing is missing. What cannot be had is
# named; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1

home=build/cpp
missing=

main() {
    mkdir -p $home
    tool "g++" has_gcc g++
    tool "clang++" has_clang clang
    tool "clang's sanitizers" has_sanitizers "$(sanitizers)"
    tool "doctest" has_doctest doctest-dev
    tool "Boost" has_boost libboost-dev
    tool "CMake" has_cmake cmake
    tool "pkg-config" has_pkg_config pkg-config

    if [ -n "$missing" ]; then
        echo "tests/cpp: cannot be had: $missing" >&2
        [ "${CI:-}" != true ]
    else
        echo "tests/cpp: all here"
    fi
}

tool() { # NAME TEST PACKAGE
    $2 && return
    echo "tests/cpp: installing $1"
    install_package "$3" >$home/setup.log 2>&1 && $2 && return
    tail -n 5 $home/setup.log >&2
    missing="${missing:+$missing, }$1"
}

has_gcc() { command -v g++ >/dev/null; }
has_clang() { command -v clang++ >/dev/null; }
has_sanitizers() { ls "$(clang++ -print-resource-dir)"/lib/*/libclang_rt.asan*.a >/dev/null 2>&1; }
sanitizers() { echo "libclang-rt-$(clang++ -dumpversion | cut -d. -f1)-dev"; }
has_doctest() { includes doctest/doctest.h; }
has_boost() { includes boost/asio.hpp; }
has_cmake() { command -v cmake >/dev/null; }
has_pkg_config() { command -v pkg-config >/dev/null; }

includes() { echo "#include <$1>" | ${CXX:-c++} -x c++ -E - >/dev/null 2>&1; }

install_package() { # the package lists of a fresh machine are empty or old: fetched where the first try fails
    apt install -y --no-install-recommends "$1" || { apt update && apt install -y --no-install-recommends "$1"; }
}

apt() {
    as_root=
    [ "$(id -u)" = 0 ] || as_root='sudo -n'
    DEBIAN_FRONTEND=noninteractive $as_root apt-get -o DPkg::Lock::Timeout=300 "$@"
}

main
