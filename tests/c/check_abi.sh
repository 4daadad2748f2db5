#!/bin/sh
# The header, the library and the numbers in them say the same, and go on saying it.
set -u
cd "$(dirname "$0")/../.." || exit 1
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

debians_symbols_are_the_functions_of_the_header() {
    sed -n 's/^ \(ws_.*\)@Base [0-9.]*$/\1/p' packaging/debian/libwsabi1.symbols | LC_ALL=C sort >"$work/symbols"
    functions | LC_ALL=C sort >"$work/declared"
    [ -s "$work/declared" ] && diff "$work/declared" "$work/symbols"
}

each_function_is_documented_and_declared_once() {
    [ -z "$(functions | sort | uniq -d)" ] &&
        awk '/^[a-z].*ws_[a-z0-9_]+\(/ && !/^typedef/ { if (before !~ /^\/\/\/ ./) { print; bad = 1 } }
             { before = $0 } END { exit bad }' $header
}

# lines_end_before_column_100 FILE: counted in characters.
lines_end_before_column_100() {
    ! LC_ALL=C.UTF-8 grep -nE '^.{100}' "$1"
}

# doxygen_has_no_warnings FILE: everything in it is documented, and what the comments refer to exists.
doxygen_has_no_warnings() {
    printf '%s\n' "INPUT = $1" "OUTPUT_DIRECTORY = $work" 'GENERATE_HTML = NO' 'GENERATE_LATEX = NO' 'GENERATE_XML = YES' \
        'OPTIMIZE_OUTPUT_FOR_C = YES' 'JAVADOC_AUTOBRIEF = YES' 'QUIET = YES' 'WARN_AS_ERROR = FAIL_ON_WARNINGS' |
        doxygen -
}

# doxygen_minds CHANGE: it has a warning for a header that sed has changed in this way.
doxygen_minds() {
    sed "$1" $header >"$work/wsabi.h"
    ! cmp -s $header "$work/wsabi.h" && ! doxygen_has_no_warnings "$work/wsabi.h"
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

# As it was at the commit that the dump is named after. What is added to it is fine; what is changed or removed is not, and
# neither is a new field of ws_message, before somebody has thought about who made room for the shorter one. The dump is made
# again only where the ABI's version is a new one: `git show COMMIT:include/wsabi.h`, then tests/abi/dump.sh.
abi_has_only_grown() { # HEADER
    sh tests/abi/dump.sh "$1" "$work/now.abi" && abidiff --no-added-syms tests/abi/ae2a580.abi "$work/now.abi"
}

# Whether a change of the header, as sed makes it, is found.
abidiff_minds() { # CHANGE
    sed "$1" $header >"$work/planted.h"
    ! cmp -s $header "$work/planted.h" || return
    sh tests/abi/dump.sh "$work/planted.h" "$work/planted.abi" || return
    ! abidiff --no-added-syms tests/abi/ae2a580.abi "$work/planted.abi"
}

abidiff_lets_pass() { # CHANGE
    sed "$1" $header >"$work/planted.h"
    ! cmp -s $header "$work/planted.h" && abi_has_only_grown "$work/planted.h"
}

check exports_are_the_functions_of_the_header exports_are_the_functions_of_the_header
check debians_symbols_are_the_functions_of_the_header debians_symbols_are_the_functions_of_the_header
check each_function_is_documented_and_declared_once each_function_is_documented_and_declared_once
check lines_end_before_column_100 lines_end_before_column_100 $header
if have doxygen; then
    check 'doxygen has no warnings' doxygen_has_no_warnings $header
    check 'doxygen finds a function without a comment' doxygen_minds 's/^int64_t ws_latency/int32_t ws_more(void);\
&/'
    check 'doxygen finds a field without a comment' doxygen_minds '/^  \/\/\/ Length of the payload/d'
else
    skip 'doxygen: it is not there'
fi
check the_header_is_the_generated_one the_header_is_the_generated_one
check no_number_has_changed no_number_has_changed
check the_name_of_the_library_has_its_abi_version the_name_of_the_library_has_its_abi_version
check the_versions_agree the_versions_agree
if [ "$(uname -m)" != x86_64 ]; then
    skip 'the ABI by abidiff: the dump is of x86_64'
elif have abidiff; then
    check the_abi_has_only_grown abi_has_only_grown $header
    check 'a field of ws_message of another type is found' abidiff_minds 's/^  int32_t kind;/  int64_t kind;/'
    check 'a field of ws_message with another sign is found' abidiff_minds 's/^  int32_t close_code;/  uint32_t close_code;/'
    check 'a field put into ws_message is found' abidiff_minds 's/^  int32_t kind;/  int32_t more; &/'
    check 'a field taken from ws_message is found' abidiff_minds '/^  int32_t is_final;/d'
    check 'a parameter of another type is found' abidiff_minds 's/uint16_t code,/uint32_t code,/'
    check 'a result of another type is found' abidiff_minds 's/^int32_t ws_can_read/int64_t ws_can_read/'
    check 'a changed callback is found' abidiff_minds 's/(\*ws_recv_fn)(void \*userdata, uint8_t \*buf, size_t/\
(*ws_recv_fn)(void *userdata, uint8_t *buf, uint32_t/'
    check 'a function that is gone is found' abidiff_minds '/^int64_t ws_latency/d'
    check 'an enumerator with another number is found' abidiff_minds 's/WS_ERR_IO = -2,/WS_ERR_IO = -20,/'
    check 'an enumerator that is gone is found' abidiff_minds '/^  WS_OPT_TLS_VERIFY = 40,/d'
    check 'a function more is fine' abidiff_lets_pass 's/^int64_t ws_latency/int32_t ws_more(ws_conn *conn);\
&/'
    check 'an enumerator more is fine' abidiff_lets_pass 's/^  WS_OPT_TLS_VERIFY = 40,/& WS_OPT_MORE = 41,/'
else
    skip 'the ABI by abidiff: it is not there'
fi
for compiler in gcc clang; do
    if ! have $compiler; then
        skip "the header with $compiler: it is not there"
        continue
    fi
    for standard in c99 c11 c17 c2x; do
        check "the header compiles with $compiler as $standard" compiles $compiler $standard c
    done
done
for compiler in g++ clang++; do
    if ! have $compiler; then
        skip "the header with $compiler: it is not there"
        continue
    fi
    for standard in c++11 c++17 c++20; do
        check "the header compiles with $compiler as $standard" compiles $compiler $standard c++
    done
done
finish
