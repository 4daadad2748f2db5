#!/bin/sh
# The library without the feature `net`: nothing for sockets is built, the header and the exports are those of any other
# build, and what needs no socket works. Builds for development, which is quick.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

work=$PWD/build/c/without-net
mkdir -p "$work"
header=include/wsabi.h
without=--no-default-features
flags='-std=c99 -O1 -g -Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -DWITHOUT_NET -Iinclude -Itests/c'

# built NAME ARGUMENTS...: the library with these features.
built() {
    name=$1
    shift
    files=$(sh packaging/cargo-build.sh --lib "$@") && cp "$(echo "$files" | grep '/libwsabi\.so$')" "$work/$name"
}

# The generator is run in any case: cargo runs it only when the sources change.
both_are_built() {
    built with-net.so && built libwsabi.so.1 $without &&
        echo "$files" | grep '/wsabi-[0-9a-f]*/build-script-build$' >"$work/generator" &&
        ln -sf libwsabi.so.1 "$work/libwsabi.so"
}

no_crate_for_sockets_is_built() {
    ${CARGO:-cargo} tree --edges normal $without >"$work/tree" && grep libc "$work/tree" &&
        ! grep -E '(mio|socket2|dns-lookup|rustls) ' "$work/tree"
}

the_header_is_the_same() {
    cp $header "$work/committed.h" && "$(cat "$work/generator")" && cmp "$work/committed.h" $header
}

exports() { nm -D --defined-only "$work/$1" | sed 's/.* //' | LC_ALL=C sort; }

the_exports_are_the_same() {
    exports with-net.so >"$work/with" && exports libwsabi.so.1 >"$work/without" &&
        grep -c '^ws_' "$work/with" && cmp "$work/with" "$work/without"
}

calls_for_sockets() {
    nm -D --undefined-only "$work/$1" | grep -wE 'socket|socketpair|connect|bind|accept4|epoll_wait|getaddrinfo|recv|sendmsg'
}

no_system_call_for_sockets_is_left() { calls_for_sockets with-net.so && ! calls_for_sockets libwsabi.so.1; }

# passes TEST: built for this library, and run with it.
passes() {
    # The flags are words.
    # shellcheck disable=SC2086
    ${CC:-cc} $flags "tests/c/test_$1.c" -o "$work/test_$1" -L"$work" -Wl,-rpath,"$work" -lwsabi -lpthread -ldl &&
        "$work/test_$1"
}

check both_are_built both_are_built || finish
for holds in no_crate_for_sockets_is_built the_header_is_the_same the_exports_are_the_same \
    no_system_call_for_sockets_is_left; do
    check $holds $holds
done
for test in memory callbacks; do check "test_$test" passes $test; done
finish
