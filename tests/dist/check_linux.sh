#!/bin/sh
# check_linux.sh TARGET: the archive of `make dist DIST=TARGET` and its wheel, where they are not for the C library and the
# processor of this machine: linux-x86_64-musl, linux-aarch64, linux-aarch64-musl. zig compiles an echo server and a client
# with it, which run; other processors are QEMU's. No interpreter of Python for musl is in a registry: what a wheel has to
# load is loaded by a program in C.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist

target=$1
processor=${target#linux-}
processor=${processor%-musl}
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=wsabi-$version-$target
zig=$(echo "$PWD"/build/dist/venv/lib/python3*/site-packages/ziglang/zig)
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
home=$work/$name
library=$home/lib/libwsabi.so
runner=
case $target in
*-musl) zig_target=$processor-linux-musl c_library=libc.so loader=/lib/ld-musl-$processor.so.1 platform=musllinux_1_2_$processor ;;
*) zig_target=$processor-linux-gnu.2.17 platform=manylinux_2_17_$processor.manylinux2014_$processor ;;
esac
wheel=$PWD/dist/wsabi-$version-py3-none-$platform.whl
[ "$processor" = "$(uname -m)" ] || runner="qemu-$processor -L /usr/$processor-linux-gnu"

compile() { "$zig" cc -target "$zig_target" -O1 -I"$home/include" -I"$work" "$@"; }
# $runner is words. The directory of libraries is for the program alone.
# shellcheck disable=SC2086
run() {
    if [ -n "$runner" ]; then
        timeout 60 $runner -E LD_LIBRARY_PATH="$libraries" "$@"
    else
        LD_LIBRARY_PATH=$libraries timeout 60 "$@"
    fi
}
libraries=$home/lib

# --- what is in it ---

is_for_this_processor() { readelf -h "$library" | sed -n 's/.*Machine: *//p' | tr 'X-' 'x_' | grep -i "$processor"; }

needs_the_c_library_only() {
    readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | tee "$work/needed"
    case $target in
    *-musl) [ "$(cat "$work/needed")" = "$c_library" ] ;;
    *) grep -x 'libc\.so\.6' "$work/needed" && ! grep -vE '^(libc|libm|libdl|librt|libutil|libpthread|ld-linux-.*)\.so\.[0-9]$' "$work/needed" ;;
    esac
}

# RHEL 7 and manylinux2014; the newest is the last.
runs_with_glibc_2_17() { readelf -V "$library" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1 | grep -x 'GLIBC_2\.17'; }

exports_the_abi_only() {
    readelf --dyn-syms -W "$library" | awk '$7 ~ /^[0-9]/ && $4 != "NOTYPE" { print $8 }' | LC_ALL=C sort >"$work/exported"
    grep -ohE '\bws_[a-z0-9_]+\(' "$home/include/wsabi.h" | tr -d '(' | LC_ALL=C sort -u >"$work/declared"
    [ -s "$work/declared" ] && diff "$work/declared" "$work/exported"
}

# --- programs ---

# link SOURCE [static]: into a program of the same name.
link() {
    source=$work/$1.c
    case $2 in
    static) compile "$source" "$home/lib/libwsabi.a" -static -lunwind -o "$work/$1" && ! readelf -d "$work/$1" | grep NEEDED ;;
    shared)
        case $target in *-musl) set -- "$1" -dynamic "-Wl,--dynamic-linker=$loader" ;; *) set -- "$1" -pthread ;; esac
        program=$1 && shift
        compile "$@" "$source" -L"$home/lib" -lwsabi -o "$work/$program-shared" && readelf -d "$work/$program-shared" | grep -F libwsabi.so.1
        ;;
    esac
}

an_echo_server_listens() { # PROGRAM
    run "$1" ws://127.0.0.1:0/ >"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 50); do
        url=$(sed -n 's/^listening on //p' "$work/server.log")
        [ -n "$url" ] && return
        sleep 0.1
    done
    cat "$work/server.log" && false
}

says_hello() { run "$@" "$url" | tee "$work/said" && [ "$(cat "$work/said")" = hello ]; }

a_static_server_listens() { link echo_server static && an_echo_server_listens "$work/echo_server"; }
a_static_client_says_hello() { link hello static && says_hello "$work/hello"; }
a_server_listens() { link echo_server shared && an_echo_server_listens "$work/echo_server-shared"; }
a_client_says_hello() { link hello shared && says_hello "$work/hello-shared"; }
has_tls() { ! run "$1" wss://127.0.0.1:1/ 2>"$work/said" && grep '^WS_ERR_IO: .*refused' "$work/said"; }

# --- the wheel ---

the_wheel_has_the_same_library() {
    python3 -m zipfile -e "$wheel" "$work/wheel" && cmp "$library" "$work/wheel/wsabi/libwsabi.so.1" &&
        grep -Fx "Tag: py3-none-${platform%%.*}" "$work"/wheel/wsabi-*.dist-info/WHEEL
}

a_program_loads_the_library_of_the_wheel() { libraries=$work/wheel/wsabi says_hello "$work/hello-shared"; }

check unpacks tar -xf "dist/$name.tar.gz" -C "$work" || finish
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/hello.c"
cp examples-c/echo_server.c examples-c/*.h "$work/"
check is_for_this_processor is_for_this_processor
check needs_the_c_library_only needs_the_c_library_only
check exports_the_abi_only exports_the_abi_only
case $target in
*-musl)
    if check a_static_server_listens a_static_server_listens && check a_static_client_says_hello a_static_client_says_hello; then
        check has_tls has_tls "$work/hello"
    fi
    ;;
*)
    check runs_with_glibc_2_17 runs_with_glibc_2_17
    if check a_server_listens a_server_listens && check a_client_says_hello a_client_says_hello; then
        check has_tls has_tls "$work/hello-shared"
    fi
    ;;
esac
if [ "$target" = linux-x86_64-musl ]; then
    check a_client_says_hello a_client_says_hello
fi
if [ -e "$wheel" ]; then
    check the_wheel_has_the_same_library the_wheel_has_the_same_library
    [ ! -e "$work/hello-shared" ] || check a_program_loads_the_library_of_the_wheel a_program_loads_the_library_of_the_wheel
fi
finish
