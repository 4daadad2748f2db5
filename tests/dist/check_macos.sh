#!/bin/sh
# check_macos.sh PROCESSOR: the archive of `make dist DIST=macos-PROCESSOR` (arm64, x86_64): what Apple's loader would find in
# the shared library, by LLVM's tools in the root `windows`. Nothing runs.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist

processor=$1
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
name=wsabi-$version-macos-$processor
work=build/dist/check-macos-$processor
home="$work"/$name
library=$home/lib/libwsabi.1.dylib

in_root() { sh tests/root.sh run windows "$@"; }

unpacks() { rm -rf "$work" && mkdir -p "$work" && tar -xf "dist/$name.tar.gz" -C "$work" && [ "$(ls "$work")" = "$name" ]; }

is_found_beside_the_program() { in_root llvm-objdump --macho --dylib-id "$library" | grep -Fx '@rpath/libwsabi.1.dylib'; }

needs_the_system_only() {
    in_root llvm-objdump --macho --dylibs-used "$library" | sed -n 's/^\t\([^ ]*\) .*/\1/p' | grep -vF @rpath/ | sort >"$work/needed" &&
        cat "$work/needed" && diff - "$work/needed" <<'END'
/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation
/System/Library/Frameworks/Security.framework/Versions/A/Security
/usr/lib/libSystem.B.dylib
END
}

# Each from a library by its name: none from wherever it turns up.
each_symbol_is_from_one_of_them() {
    in_root llvm-nm -m --undefined-only "$library" >"$work/undefined" && [ -s "$work/undefined" ] &&
        ! grep -vE '\(from (libSystem|Security|CoreFoundation)\)$' "$work/undefined"
}

exports_the_abi() {
    in_root llvm-objdump --macho --exports-trie "$library" | sed -n 's/^0x[0-9A-F]* *_//p' | sed 's/ .*//' | LC_ALL=C sort >"$work/exported"
    grep -ohE '\bws_[a-z0-9_]+\(' "$home/include/wsabi.h" | tr -d '(' | LC_ALL=C sort -u >"$work/declared"
    # zig exports a few names of the linker and of the unwinder, too, whatever it is told.
    grep -vxE "_RNv.*EMPTY_PANIC|rust_eh_personality|__dso_handle|_mh_dylib_header" "$work/exported" >"$work/functions"
    [ -s "$work/declared" ] && diff "$work/declared" "$work/functions"
}

# The loader of arm64 refuses what is not signed, each page by its hash; that of x86_64 asks for no signature, and zig makes none.
is_signed_as_it_is() { python3 tests/dist/code_signature.py "$library"; }

# SecTrustEvaluateWithError() is there from 10.14 on.
runs_on_old_systems() {
    case $processor in arm64) oldest=11.0 ;; *) oldest=10.14 ;; esac
    in_root llvm-objdump --macho --private-headers "$library" | tee "$work/headers" | grep -E "^ *(minos|version) $oldest\$" ||
        { grep -A 4 -E 'LC_BUILD_VERSION|LC_VERSION_MIN' "$work/headers" && false; }
}

has_tls() { in_root llvm-nm --undefined-only "$library" | grep _SecTrustEvaluateWithError; }

names_no_place_of_this_machine() { ! grep -rlFe "$PWD/" -e "${CARGO_HOME:-$HOME/.cargo}/" "$home"; }

is_described() {
    grep -F 'IMPORTED_SONAME "@rpath/libwsabi.1.dylib"' "$home/lib/cmake/wsabi/wsabiConfig.cmake" &&
        grep -F 'framework Security' "$home/lib/cmake/wsabi/wsabiConfig.cmake" && grep -F 'framework Security' "$home/lib/pkgconfig/wsabi.pc" &&
        [ "$(readlink "$home/lib/libwsabi.dylib")" = libwsabi.1.dylib ] && ! grep -rF libwsabi.so "$home/lib/cmake"
}

a_program_links_with_the_static_library() {
    zig=$(echo "$PWD"/build/dist/venv/lib/python3*/site-packages/ziglang/zig)
    awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/hello.c"
    "$zig" cc -target "$(echo "$processor" | sed s/arm64/aarch64/)-macos" -O1 -I"$home/include" "$work/hello.c" "$home/lib/libwsabi.a" \
        -F "$PWD/packaging/macos" -framework Security -framework CoreFoundation -o "$work/hello" && is_a_program "$work/hello"
}
is_a_program() { in_root llvm-objdump --macho --private-headers "$1" | grep -w EXECUTE; }

check unpacks unpacks || finish
check is_found_beside_the_program is_found_beside_the_program
check needs_the_system_only needs_the_system_only
check each_symbol_is_from_one_of_them each_symbol_is_from_one_of_them
check exports_the_abi exports_the_abi
[ "$processor" != arm64 ] || check is_signed_as_it_is is_signed_as_it_is
check runs_on_old_systems runs_on_old_systems
check has_tls has_tls
check names_no_place_of_this_machine names_no_place_of_this_machine
check is_described is_described
check a_program_links_with_the_static_library a_program_links_with_the_static_library
finish
