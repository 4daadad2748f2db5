#!/bin/sh
# Builds the load generator and the peers' servers of run.py into build/bench/. Idempotent, and quick when nothing has
# changed. A peer that cannot be had is named and left out; with --quick none is asked for. Our own server is the
# Makefile's.
#
# Not among them: uWebSockets, which no package of Debian and none of its author's at npm has.
set -u
cd "$(dirname "$0")/../.." || exit 1

PICOWS=2.3.1 # PyPI
UVLOOP=0.23.0
subject=bench
. scripts/obtain.sh
home=build/bench

main() {
    mkdir -p $home/bin
    need cc 'has cc' apt_install gcc libc6-dev
    [ -z "$missing" ] || exit 1
    c_program loadgen && c_program raw_epoll || exit 1
    [ "${1:-}" = --quick ] && return
    need strace 'has strace' apt_install strace

    peer "libwebsockets" install_lws
    peer "Boost.Beast" install_beast
    peer "picows $PICOWS" install_picows
    peer "those in Rust" install_rust
    if [ -n "$missing" ]; then
        echo "bench: cannot be had: $missing" >&2
    else
        echo "bench: all servers here"
    fi
}

peer() { # NAME INSTALL
    "$2" >$home/setup.log 2>&1 && return
    tail -n 5 $home/setup.log >&2
    missing="${missing:+$missing, }$1"
}

c_program() { # NAME LIBRARIES...
    program=$1
    shift
    newer "$program" c || cc -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror "benches/tcp/$program.c" -o "$home/bin/$program" "$@"
}

newer() { # NAME SUFFIX: whether the program is
    [ -n "$(find "$home/bin/$1" -newer "benches/tcp/$1.$2" 2>/dev/null)" ]
}

install_lws() {
    [ -f /usr/include/libwebsockets.h ] || apt_install libwebsockets-dev || return
    c_program lws -lwebsockets
}

install_beast() {
    newer beast cpp && return
    has c++ || apt_install g++ || return
    [ -f /usr/include/boost/beast.hpp ] || apt_install libboost-dev || return
    c++ -std=c++17 -O3 -DNDEBUG benches/tcp/beast.cpp -o $home/bin/beast -lpthread
}

install_picows() {
    has_environment $home/venv "picows==$PICOWS" "uvloop==$UVLOOP" ||
        make_environment $home/venv "picows==$PICOWS" "uvloop==$UVLOOP"
}

install_rust() {
    built=$(CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/$home/cargo} sh packaging/cargo-build.sh --locked --release \
        --manifest-path benches/tcp/rust-peers/Cargo.toml) || return
    for bin in benches/tcp/rust-peers/src/bin/*.rs; do
        cp -u "$(echo "$built" | grep "/$(basename "$bin" .rs)\$")" $home/bin/ || return
    done
}

main "$@"
