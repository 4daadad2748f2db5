#!/bin/sh
# What `make install` puts somewhere is all there and in order, programs are built with it and run, and `make uninstall`
# leaves the place as it was.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
library=$prefix/lib/libwsabi.so
debug_file=$(sed -n 's/^#define WS_ABI_VERSION \([0-9]*\)$/libwsabi.so.\1/p' include/wsabi.h).$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1).debug
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
unset MAKEFLAGS # of a make that calls this

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/hello.c"

# --- programs ---

# It has nobody to talk to, and says so.
runs() { ! "$@" ws://127.0.0.1:1/ 2>"$work/said" && grep '^WS_ERR_IO: .*refused' "$work/said"; }

# The flags are words: they are split on purpose.
# shellcheck disable=SC2046
builds_and_runs_with_the_shared_library() {
    ${CC:-cc} -Wall -Werror "$work/hello.c" $(pkg-config --cflags --libs wsabi) -o "$work/shared" &&
        readelf -d "$work/shared" | grep -F libwsabi.so. &&
        LD_LIBRARY_PATH=$prefix/lib runs "$work/shared"
}

# By the line of docs/installation.md, as it stands there.
builds_and_runs_with_the_static_library() {
    line=$(grep '^cc hello\.c .*--static' docs/installation.md) && (cd "$work" && rm -f hello && eval "$line") &&
        ! readelf -d "$work/hello" | grep -F libwsabi && runs "$work/hello"
}

# shellcheck disable=SC2046
builds_and_runs_without_any_shared_library() {
    ${CC:-cc} -static "$work/hello.c" -L"$prefix/lib" -l:libwsabi.a $(pkg-config --static --cflags --libs-only-l wsabi) \
        -o "$work/all-static" && ! readelf -d "$work/all-static" | grep -F NEEDED && runs "$work/all-static"
}

names_what_rust_wants_linked_along() {
    wanted=$(echo | rustc --crate-type staticlib --print native-static-libs - -o "$work/empty.a" 2>&1 |
        sed -n 's/.*native-static-libs: //p')
    [ -n "$wanted" ] || return
    for name in $wanted; do
        case $name in -lgcc_s | -lc) continue ;; esac # every C compiler links these
        grep "^Libs.private:.* $name\b" "$prefix/lib/pkgconfig/wsabi.pc" || return
    done
}

is_found_where_it_has_been_moved() {
    cp -a "$prefix" "$work/moved" &&
        PKG_CONFIG_PATH=$work/moved/lib/pkgconfig pkg-config --define-prefix --libs wsabi | grep -F -- "-L$work/moved/lib "
}

has_the_version_of_the_crate() {
    pkg-config --modversion wsabi && grep -qx "version = \"$(pkg-config --modversion wsabi)\"" Cargo.toml
}

# --- what is in it ---

has_no_debug_information() {
    readelf -SW "$library" >"$work/sections" && ! grep -E ' \.(debug_|zdebug_|symtab)' "$work/sections" &&
        objdump -h "$prefix/lib/libwsabi.a" >"$work/sections" && grep -q '\.text' "$work/sections" &&
        ! grep -E ' \.z?debug_' "$work/sections"
}

# By the name in the library, and by its checksum, which addr2line compares.
debuggers_find_the_lines() {
    readelf --string-dump=.gnu_debuglink "$library" | grep -F "$debug_file" && [ -f "$prefix/lib/$debug_file" ] &&
        [ ! -x "$prefix/lib/$debug_file" ] || return
    address=$(nm -D "$library" | sed -n 's/^\([0-9a-f]*\) T ws_read_message$/0x\1/p')
    addr2line -e "$library" "$address" | tee "$work/line" && grep '/src/ffi/.*\.rs:[0-9]' "$work/line"
}

# It looks at all names that begin like a library's.
ldconfig_keeps_to_the_library() {
    before=$(ls -l "$prefix/lib")
    PATH=$PATH:/usr/sbin:/sbin ldconfig -n "$prefix/lib" && [ "$(ls -l "$prefix/lib")" = "$before" ]
}

# Measured and not typed; another compiler gives other sizes, but not by much.
is_as_large_as_the_docs_say() {
    stated=$(sed -n 's/^| default | \([0-9.]*\) MB .*/\1/p' docs/installation.md)
    stat -L -c %s "$library" | awk -v stated="$stated" '{ print; exit !(stated > 0 && $1 / 1e6 > stated * 0.85 && $1 / 1e6 < stated * 1.15) }'
}

# The archive has an object for each crate, under the crate's name, but for those that are macros or empty.
the_notices_name_every_crate() {
    notices=$prefix/share/doc/wsabi/THIRD-PARTY-NOTICES.txt
    ar t "$prefix/lib/libwsabi.a" | sed -n 's/^\([a-z0-9_]*\)[-.].*\.rcgu\.o$/\1/p' | sort -u >"$work/crates"
    grep -qx rustls "$work/crates" && grep -qx std "$work/crates" || return
    tr -- - _ <"$notices" | sed 's/^  rustls_webpki /  webpki /' >"$work/notices"
    for crate in $(grep -vx wsabi "$work/crates"); do
        grep -qE "^  (.*, )?$crate( [0-9]|,|\$)" "$work/notices" || { echo "not named: $crate" && return 1; }
    done
}

# --- installing and taking away ---

tree() { (cd "$1" && find . -exec ls -ld --time-style=+ {} + | sort); }

# with_others DIRECTORY: a place where there is something already, directories with nothing in them among it.
with_others() {
    mkdir -p "$1/lib/pkgconfig" "$1/lib/cmake" "$1/include" "$1/share/doc" && echo other | tee "$1/lib/libother.so" >"$1/share/doc/other"
}

uninstalling_leaves_nothing() {
    make -s install PREFIX="$work/none/a/b" && make -s uninstall PREFIX="$work/none/a/b" && [ ! -e "$work/none" ]
}

uninstalling_leaves_what_was_there() {
    with_others "$work/some" && before=$(tree "$work/some") && make -s install PREFIX="$work/some" || return
    [ "$(tree "$work/some")" != "$before" ] && make -s uninstall PREFIX="$work/some" && [ "$(tree "$work/some")" = "$before" ] &&
        make -s uninstall PREFIX="$work/some" | grep 'is not installed'
}

uninstalling_leaves_what_came_later() {
    make -s install PREFIX="$work/later" && echo other >"$work/later/lib/libother.so" &&
        make -s uninstall PREFIX="$work/later" && [ "$(cd "$work/later" && echo ./* ./*/*)" = './lib ./lib/libother.so' ]
}

installing_twice_is_uninstalled_once() {
    make -s install PREFIX="$work/twice" && make -s install PREFIX="$work/twice" && make -s uninstall PREFIX="$work/twice" &&
        [ ! -e "$work/twice" ]
}

# An older version had a file that this one has not.
a_newer_version_takes_the_older_ones_place() {
    make -s install PREFIX="$work/newer" && touch "$work/newer/lib/libwsabi.so.1.0.0.9" &&
        echo lib/libwsabi.so.1.0.0.9 >>"$work/newer/share/doc/wsabi/installed.txt" &&
        make -s install PREFIX="$work/newer" && [ ! -e "$work/newer/lib/libwsabi.so.1.0.0.9" ] &&
        [ -e "$work/newer/lib/libwsabi.so" ]
}

# Where lib is to be there is a file.
an_installation_that_failed_is_uninstalled_too() {
    mkdir -p "$work/failed" && echo other >"$work/failed/lib" && before=$(tree "$work/failed") &&
        ! make -s install PREFIX="$work/failed" && [ -f "$work/failed/include/wsabi.h" ] && make -s uninstall PREFIX="$work/failed" &&
        [ "$(tree "$work/failed")" = "$before" ]
}

destdir_is_written_nowhere() {
    make -s install DESTDIR="$work/stage" PREFIX=/usr && [ -f "$work/stage/usr/lib/libwsabi.a" ] &&
        grep -x 'prefix=/usr' "$work/stage/usr/lib/pkgconfig/wsabi.pc" && ! grep -rIF "$work" "$work/stage" &&
        make -s uninstall DESTDIR="$work/stage" PREFIX=/usr && [ ! -e "$work/stage" ]
}

# As distributions want it.
libraries_go_where_libdir_says() {
    make -s install PREFIX="$work/libdir" LIBDIR=lib/some-processor && [ -f "$work/libdir/lib/some-processor/libwsabi.so" ] &&
        PKG_CONFIG_PATH=$work/libdir/lib/some-processor/pkgconfig pkg-config --libs wsabi | grep -F -- "-L$work/libdir/lib/some-processor " &&
        make -s uninstall PREFIX="$work/libdir" && [ ! -e "$work/libdir" ]
}

# As root's often is, and as it is where somebody else has built.
needs_no_cargo_where_the_library_is_built() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin CARGO=/nowhere/cargo make -s install PREFIX="$work/without" &&
        [ -f "$work/without/lib/libwsabi.a" ]
}

everybody_can_read_it() {
    (umask 077 && make -s install PREFIX="$work/public/usr") && [ -z "$(find "$work/public/usr" ! -type l ! -perm -o+r)" ] &&
        [ -z "$(find "$work/public/usr" -type d ! -perm -o+x)" ]
}

check it_installs make -s install PREFIX="$prefix"
if have pkg-config; then
    check has_the_version_of_the_crate has_the_version_of_the_crate
    check builds_and_runs_with_the_shared_library builds_and_runs_with_the_shared_library
    check builds_and_runs_with_the_static_library builds_and_runs_with_the_static_library
    check builds_and_runs_without_any_shared_library builds_and_runs_without_any_shared_library
    check is_found_where_it_has_been_moved is_found_where_it_has_been_moved
    check libraries_go_where_libdir_says libraries_go_where_libdir_says
else
    skip "building against the installation: there is no pkg-config"
fi
check names_what_rust_wants_linked_along names_what_rust_wants_linked_along
check has_no_debug_information has_no_debug_information
check debuggers_find_the_lines debuggers_find_the_lines
check ldconfig_keeps_to_the_library ldconfig_keeps_to_the_library
if [ "$(uname -m)" = x86_64 ]; then check is_as_large_as_the_docs_say is_as_large_as_the_docs_say; fi
check the_notices_are_up_to_date python3 packaging/notices.py --check
check the_notices_name_every_crate the_notices_name_every_crate
check uninstalling_leaves_nothing uninstalling_leaves_nothing
check uninstalling_leaves_what_was_there uninstalling_leaves_what_was_there
check uninstalling_leaves_what_came_later uninstalling_leaves_what_came_later
check installing_twice_is_uninstalled_once installing_twice_is_uninstalled_once
check a_newer_version_takes_the_older_ones_place a_newer_version_takes_the_older_ones_place
check an_installation_that_failed_is_uninstalled_too an_installation_that_failed_is_uninstalled_too
check destdir_is_written_nowhere destdir_is_written_nowhere
check needs_no_cargo_where_the_library_is_built needs_no_cargo_where_the_library_is_built
check everybody_can_read_it everybody_can_read_it
finish
