#!/bin/sh
# dump.sh HEADER OUT: describes the ABI that a header declares, as abidw sees it.
#
# Not the library itself is looked at: it is in Rust, and what its debug information describes are Rust's types, with all
# that hangs on an opaque handle, under the names of modules; the enumerators are not in it, since functions take them as
# int32_t. So a library in C is made up that has each function of the header, and a variable of each enumeration. That its
# functions are those which the real one exports, check_abi.sh makes sure of, and that the header is what the sources say.
set -eu
header=$1
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp "$header" "$work/wsabi.h"
${CC:-cc} -E -P "$work/wsabi.h" | tr '\n' ' ' | tr ';' '\n' >"$work/declarations"
{
    echo '#include "wsabi.h"'
    grep '\<ws_[a-z0-9_]*(' "$work/declarations" | grep -v typedef | sed 's/$/ {}/'
    sed -n 's/^typedef enum \(ws_[a-z_]*\) {$/enum \1 values_of_\1;/p' "$work/wsabi.h"
} >"$work/abi.c"
cd "$work"
${CC:-cc} -g -O0 -w -fPIC -shared -Wl,-soname,libwsabi.so abi.c -o libwsabi.so
abidw --no-corpus-path --no-comp-dir-path --no-show-locs --type-id-style hash libwsabi.so >abi.xml
cd - >/dev/null
mv "$work/abi.xml" "$out"
