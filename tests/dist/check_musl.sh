#!/bin/sh
# The archive of `make dist DIST=linux-x86_64-musl`: a program that is all static runs here, and one with the shared library
# runs with musl's loader. zig compiles both.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=wsabi-$version-linux-x86_64-musl
zig=$(echo "$PWD"/build/dist/venv/lib/python3*/site-packages/ziglang/zig)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
home=$work/$name

compile() { "$zig" cc -target x86_64-linux-musl -O1 -I"$home/include" -I"$work" "$@"; }

an_echo_server_is_all_static() {
    compile "$work/echo_server.c" "$home/lib/libwsabi.a" -static -lunwind -o "$work/echo_server" &&
        ! readelf -d "$work/echo_server" | grep NEEDED && readelf -h "$work/echo_server" | grep ELF64 || return
    "$work/echo_server" ws://127.0.0.1:0/ >"$work/server.log" 2>&1 &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        url=$(sed -n 's/^listening on //p' "$work/server.log")
        [ -n "$url" ] && return
        sleep 0.1
    done
    cat "$work/server.log" && false
}

says_hello() { timeout 20 "$@" "$url" | tee "$work/said" && [ "$(cat "$work/said")" = hello ]; }

a_static_client_says_hello() {
    compile "$work/hello.c" "$home/lib/libwsabi.a" -static -lunwind -o "$work/static" && says_hello "$work/static"
}

a_client_with_the_shared_library_says_hello() {
    compile -dynamic "$work/hello.c" -L"$home/lib" -lwsabi -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o "$work/shared" &&
        readelf -l "$work/shared" | grep ld-musl && LD_LIBRARY_PATH=$home/lib says_hello "$work/shared"
}

the_shared_library_needs_musl_only() {
    readelf -d "$home/lib/libwsabi.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | tee "$work/needed" && [ "$(cat "$work/needed")" = libc.so ]
}

has_tls() { ! "$work/static" wss://127.0.0.1:1/ 2>"$work/said" && grep '^WS_ERR_IO: .*refused' "$work/said"; }

check unpacks tar -xf "dist/$name.tar.gz" -C "$work" || finish
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/hello.c"
cp examples-c/echo_server.c examples-c/*.h "$work/"
check the_shared_library_needs_musl_only the_shared_library_needs_musl_only
if check an_echo_server_is_all_static an_echo_server_is_all_static; then
    check a_static_client_says_hello a_static_client_says_hello
    check has_tls has_tls
    if [ -e /lib/ld-musl-x86_64.so.1 ]; then
        check a_client_with_the_shared_library_says_hello a_client_with_the_shared_library_says_hello
    else
        skip 'the shared library: there is no loader of musl'
    fi
fi
finish
