#!/bin/sh
# The archive of `make dist` for this machine, unpacked in a place of a random name: what is in it, and that programs are
# built with it and run, in an environment that knows neither the clone nor cargo.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist
CC=${CC:-cc}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=wsabi-$version-linux-$(uname -m)
clone=$PWD
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
home=$work/$name
library=$home/lib/libwsabi.so

# --- what is in it ---

unpacks() { tar -xf "dist/$name.tar.gz" -C "$work" && [ "$(ls "$work")" = "$name" ]; }

the_checksums_are_right() { (cd dist && sha256sum --check --strict SHA256SUMS) && grep -F "  $name.tar.gz" dist/SHA256SUMS; }

# RHEL 7 and manylinux2014; the newest is the last.
runs_with_glibc_2_17() {
    newest=$(objdump -T "$library" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
    echo "$newest" && [ "$newest" = GLIBC_2.17 ]
}

needs_the_c_library_only() {
    readelf -d "$library" >"$work/dynamic" && grep 'SONAME.*\[libwsabi.so.1\]' "$work/dynamic" &&
        ! grep -E 'RPATH|RUNPATH' "$work/dynamic" || return
    sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$work/dynamic" >"$work/needed"
    grep -x 'libc\.so\.6' "$work/needed" &&
        ! grep -vE '^(libc|libm|libdl|librt|libutil|libpthread|ld-linux-.*)\.so\.[0-9]$' "$work/needed"
}

exports_the_abi_only() {
    nm -D --defined-only "$library" | sed 's/.* //' | LC_ALL=C sort >"$work/exported"
    grep -ohE '\bws_[a-z0-9_]+\(' "$home/include/wsabi.h" | tr -d '(' | LC_ALL=C sort -u >"$work/declared"
    [ -s "$work/declared" ] && diff "$work/declared" "$work/exported"
}

names_no_place_of_this_machine() {
    ! grep -rlFe "$clone/" -e "${CARGO_HOME:-$HOME/.cargo}/" -e "$(rustc --print sysroot)/" "$home"
}

the_bill_of_materials_names_every_crate() {
    python3 - "$home/share/doc/wsabi" "$version" <<'END'
import json, pathlib, sys
home, version = pathlib.Path(sys.argv[1]), sys.argv[2]
bom = json.loads((home / "wsabi.cdx.json").read_text())
assert (bom["bomFormat"], bom["specVersion"], bom["metadata"]["component"]["version"]) == ("CycloneDX", "1.5", version)
listed = [f"  {part['name']} {part['version']}: {part['licenses'][0]['expression']}" for part in bom["components"] if "purl" in part]
notices = (home / "THIRD-PARTY-NOTICES.txt").read_text().replace("/", " OR ")
assert len(listed) > 30 and all(line in notices for line in listed), listed
assert all(len(part["hashes"][0]["content"]) == 64 for part in bom["components"] if "purl" in part)
references = {part["bom-ref"] for part in (*bom["components"], bom["metadata"]["component"])}
assert all({one["ref"], *one["dependsOn"]} <= references for one in bom["dependencies"])
END
}

debuggers_find_the_lines() {
    tar -xf "dist/$name-debug.tar.gz" -C "$work" || return
    address=$(nm -D "$library" | sed -n 's/^\([0-9a-f]*\) T ws_read_message$/0x\1/p')
    addr2line -e "$library" "$address" | tee "$work/line" && grep '^/wsabi/src/ffi/.*\.rs:[0-9]' "$work/line"
}

a_key_signs_the_checksums() {
    mkdir "$work/signed" && echo hello >"$work/signed/file" && openssl genpkey -algorithm ed25519 -out "$work/key.pem" &&
        openssl pkey -in "$work/key.pem" -pubout -out "$work/public.pem" &&
        WSABI_SIGN_KEY=$work/key.pem sh packaging/checksums.sh "$work/signed" && verifies || return
    echo >>"$work/signed/SHA256SUMS" && ! verifies
}

verifies() {
    openssl pkeyutl -verify -rawin -pubin -inkey "$work/public.pem" -in "$work/signed/SHA256SUMS" \
        -sigfile "$work/signed/SHA256SUMS.sig"
}

# --- programs ---

# outside COMMAND...: with nothing of this environment, away from the clone.
outside() { (cd "$work" && env -i PATH=/usr/bin:/bin HOME="$work" PKG_CONFIG_PATH="$home/lib/pkgconfig" CC="$CC" "$@"); }

# The server, too, is built with the archive.
an_echo_server_listens() {
    outside sh -c '$CC -O1 echo_server.c -o echo_server $(pkg-config --cflags --libs wsabi) -Wl,-rpath,"$1" -lpthread' sh "$home/lib" || return
    outside ./echo_server ws://127.0.0.1:0/ >"$work/server.log" 2>&1 &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        url=$(sed -n 's/^listening on //p' "$work/server.log")
        [ -n "$url" ] && return
        sleep 0.1
    done
    cat "$work/server.log" && false
}

says_hello() { outside timeout 20 "$@" "$url" | tee "$work/said" && [ "$(cat "$work/said")" = hello ]; }

builds_with_pkg_config() {
    outside sh -c '$CC -Wall -Werror hello.c -o shared $(pkg-config --cflags --libs wsabi)' &&
        readelf -d "$work/shared" | grep -F 'libwsabi.so.1' && says_hello env LD_LIBRARY_PATH="$home/lib" ./shared
}

builds_with_pkg_config_and_the_static_library() {
    outside sh -c '$CC -Wall -Werror hello.c -o static -Wl,--gc-sections $(pkg-config --static --cflags --libs wsabi |
        sed "s/-lwsabi/-l:libwsabi.a/")' && ! readelf -d "$work/static" | grep -F libwsabi && says_hello ./static
}

builds_without_any_shared_library() {
    outside sh -c '$CC -static hello.c -o all_static $(pkg-config --static --cflags --libs wsabi | sed "s/-lwsabi/-l:libwsabi.a/")' &&
        ! readelf -d "$work/all_static" | grep -F NEEDED && says_hello ./all_static
}

builds_with_cmake() {
    mkdir "$work/cmake" && cat >"$work/cmake/CMakeLists.txt" <<'END' || return
cmake_minimum_required(VERSION 3.16)
project(hello LANGUAGES C)
find_package(wsabi REQUIRED)
add_executable(shared ../hello.c)
target_link_libraries(shared PRIVATE wsabi::wsabi)
add_executable(static ../hello.c)
target_link_libraries(static PRIVATE wsabi::static)
END
    outside cmake -S cmake -B cmake/build -DCMAKE_PREFIX_PATH="$home" && outside cmake --build cmake/build &&
        readelf -d "$work/cmake/build/shared" | grep -F libwsabi.so.1 && ! readelf -d "$work/cmake/build/static" | grep -F libwsabi &&
        says_hello cmake/build/shared && says_hello cmake/build/static
}

has_tls() { ! outside ./static wss://127.0.0.1:1/ 2>"$work/said" && grep '^WS_ERR_IO: .*refused' "$work/said"; }

check unpacks unpacks
check the_checksums_are_right the_checksums_are_right
check runs_with_glibc_2_17 runs_with_glibc_2_17
check needs_the_c_library_only needs_the_c_library_only
check exports_the_abi_only exports_the_abi_only
check names_no_place_of_this_machine names_no_place_of_this_machine
check the_bill_of_materials_names_every_crate the_bill_of_materials_names_every_crate
check debuggers_find_the_lines debuggers_find_the_lines
check a_key_signs_the_checksums a_key_signs_the_checksums
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/hello.c"
cp examples-c/echo_server.c examples-c/*.h "$work/"
if have pkg-config && check an_echo_server_listens an_echo_server_listens; then
    check builds_with_pkg_config builds_with_pkg_config
    check builds_with_pkg_config_and_the_static_library builds_with_pkg_config_and_the_static_library
    check builds_without_any_shared_library builds_without_any_shared_library
    if have cmake; then check builds_with_cmake builds_with_cmake; else skip 'CMake is not there'; fi
    check has_tls has_tls
else
    skip 'programs: there is no pkg-config'
fi
finish
