#!/bin/sh
# The header, the library and the numbers in them say the same, and go on saying it.
set -u
cd "$(dirname "$0")/../.."
. tests/c/checks.sh

header=include/wsabi.h
library=build/lib/libwsabi.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

value() { sed -n "s/^#define $1 \([0-9]*\)\$/\1/p" $header; }

# A declaration starts at the first column; what it is named is followed by its parameters.
functions() {
    grep -v '^typedef' $header | grep -oE '^[a-z].*\bws_[a-z0-9_]+\(' | grep -oE 'ws_[a-z0-9_]+\($' | tr -d '('
}

exports_are_the_functions_of_the_header() {
    functions | LC_ALL=C sort >"$work/declared"
    nm -D --defined-only $library | sed 's/.* //' | LC_ALL=C sort >"$work/exported"
    [ -s "$work/declared" ] && diff "$work/declared" "$work/exported"
}

each_function_is_documented_and_declared_once() {
    [ -z "$(functions | sort | uniq -d)" ] &&
        awk '/^[a-z].*ws_[a-z0-9_]+\(/ && !/^typedef/ { if (before !~ /^\/\/ ./) { print; bad = 1 } }
             { before = $0 } END { exit bad }' $header
}

# build.rs writes the header only where it differs. Cargo runs it when the sources change; here it runs in any case, so
# that a change by hand is found, too.
the_header_is_the_generated_one() {
    cp $header "$work/committed.h"
    generator=$(sh packaging/cargo-build.sh --release --lib | grep '/wsabi-[0-9a-f]*/build-script-build$')
    "$generator" && diff "$work/committed.h" $header
}

# Numbers are for ever. A new one goes into the list, too.
no_number_has_changed() {
    sed -n 's/^  \(WS_[A-Z0-9_]* = -\{0,1\}[0-9]*\),$/\1/p' $header >"$work/numbers"
    echo "WS_ABI_VERSION = $(value WS_ABI_VERSION)" >>"$work/numbers"
    grep -v '^#' tests/c/frozen_enums.txt | diff - "$work/numbers"
}

the_name_of_the_library_has_its_abi_version() {
    readelf -d $library | grep -F "soname: [libwsabi.so.$(value WS_ABI_VERSION)]"
}

the_versions_agree() {
    version=$(value WS_VERSION_MAJOR).$(value WS_VERSION_MINOR).$(value WS_VERSION_PATCH)
    cat >"$work/version.c" <<END
#include "wsabi.h"
#include <stdio.h>
int main(void) {
  printf("%s %u %u\n", ws_version_string(), (unsigned)ws_version_number(), (unsigned)ws_abi_version());
  return 0;
}
END
    ${CC:-cc} -Iinclude "$work/version.c" -o "$work/version" -Lbuild/lib -Wl,-rpath,"$PWD/build/lib" -lwsabi || return
    number=$(($(value WS_VERSION_MAJOR) * 1000000 + $(value WS_VERSION_MINOR) * 1000 + $(value WS_VERSION_PATCH)))
    "$work/version" && [ "$("$work/version")" = "$version $number $(value WS_ABI_VERSION)" ] &&
        grep -qx "version = \"$version\"" Cargo.toml
}

# compiles COMPILER STANDARD LANGUAGE
compiles() {
    printf '#include "wsabi.h"\n#include "wsabi.h"\nint main(void) { return ws_abi_version() != WS_ABI_VERSION; }\n' |
        $1 -std="$2" -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x "$3" -
}

check exports_are_the_functions_of_the_header exports_are_the_functions_of_the_header
check each_function_is_documented_and_declared_once each_function_is_documented_and_declared_once
check the_header_is_the_generated_one the_header_is_the_generated_one
check no_number_has_changed no_number_has_changed
check the_name_of_the_library_has_its_abi_version the_name_of_the_library_has_its_abi_version
check the_versions_agree the_versions_agree
for compiler in gcc clang; do
    if ! have $compiler $compiler; then
        skip "the header with $compiler: it is not there"
        continue
    fi
    for standard in c99 c11 c17 c2x; do
        check "the header compiles with $compiler as $standard" compiles $compiler $standard c
    done
done
for compiler in g++ clang++; do
    package=$(echo $compiler | sed 's/clang++/clang/')
    if ! have $compiler "$package"; then
        skip "the header with $compiler: it is not there"
        continue
    fi
    for standard in c++11 c++17 c++20; do
        check "the header compiles with $compiler as $standard" compiles $compiler $standard c++
    done
done
finish
