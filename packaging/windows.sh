#!/bin/sh
# windows.sh DIRECTORY [ARGUMENTS FOR CARGO...]: builds the library for Windows (x86_64) with mingw-w64, and puts into DIRECTORY
# what C and C++ programs need: wsabi.dll; libwsabi.dll.a and wsabi.lib, by which MinGW and MSVC link with it; wsabi.def, which
# lists its functions; libwsabi.a, the static library for MinGW; the headers. Needs a rustc with the standard library's sources,
# mingw-w64 and llvm-dlltool: see tests/roots/windows. The root of the tree is the current directory.
set -eu

directory=$1
shift
target=x86_64-pc-windows-gnu
tools=x86_64-w64-mingw32

export RUSTC_BOOTSTRAP=1
files=$(sh packaging/cargo-build.sh -Zbuild-std=std,panic_unwind --locked --lib --target $target "$@")
mkdir -p "$directory"
for file in wsabi.dll libwsabi.dll.a libwsabi.a; do
    built=$(echo "$files" | grep "/$file\$" | head -n 1)
    # cargo does not list every import library.
    [ -n "$built" ] || built=$(dirname "$(echo "$files" | grep '/wsabi\.dll$')")/$file
    cp "$built" "$directory/$file"
done
$tools-strip --strip-unneeded "$directory/wsabi.dll"
$tools-strip --strip-debug "$directory/libwsabi.a"
{
    echo 'LIBRARY wsabi.dll'
    echo 'EXPORTS'
    $tools-objdump -p "$directory/wsabi.dll" | sed -n 's/^.*[[:space:]]\(ws_[a-z0-9_]*\)$/    \1/p' | sort -u
} >"$directory/wsabi.def"
llvm-dlltool -m i386:x86-64 -d "$directory/wsabi.def" -l "$directory/wsabi.lib"
cp include/wsabi.h include/wsabi.hpp "$directory/"
