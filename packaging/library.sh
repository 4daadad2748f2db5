#!/bin/sh
# library.sh DIRECTORY [ARGUMENTS FOR CARGO...]: builds the library, and puts into DIRECTORY what `make install` installs
# of it: the shared library, its debug information in a file of its own, the links to it, and the static library. Files
# whose content would be the same stay as they are; one that is replaced may be in use. The root of the tree is the
# current directory.
set -eu

directory=$1
shift

abi=$(sed -n 's/^#define WS_ABI_VERSION \([0-9]*\)$/\1/p' include/wsabi.h)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

main() {
    files=$(sh packaging/cargo-build.sh --release --lib "$@") || why_not
    shared=$(echo "$files" | grep -E '/libwsabi\.(so|dylib)$')
    static=$(echo "$files" | grep '/libwsabi\.a$')
    case $shared in
    *.dylib) name=libwsabi.$abi.dylib ;;
    *) name=libwsabi.so.$abi.$version ;;
    esac

    mkdir -p "$directory"
    built_from="$name $(cksum <"$shared") $(cksum <"$static")"
    if [ "$built_from" != "$(cat "$directory/.built-from" 2>/dev/null)" ]; then
        rm -f "$directory/.built-from"
        work=$(mktemp -d "$directory/.new-XXXXXX")
        trap 'rm -rf "$work"' EXIT
        cp "$shared" "$work/$name"
        cp "$static" "$work/libwsabi.a"
        take_debug_information_out
        mv -f "$work"/libwsabi.* "$directory/"
    fi
    echo "$built_from" >"$directory/.built-from"
    case $name in
    *.dylib) ln -sf "$name" "$directory/libwsabi.dylib" ;;
    *)
        ln -sf "$name" "$directory/libwsabi.so.$abi"
        ln -sf "libwsabi.so.$abi" "$directory/libwsabi.so"
        ;;
    esac
}

# Debuggers, valgrind and Rust's own backtraces look for it beside the library, by the name in .gnu_debuglink. A dylib is left as
# the linker has signed it.
take_debug_information_out() {
    objcopy=${OBJCOPY:-objcopy}
    command -v "$objcopy" >/dev/null || {
        echo "library.sh: $objcopy (binutils) not found: debug information stays in the libraries" >&2
        return
    }
    case $name in
    *.dylib) ;;
    *)
        "$objcopy" --only-keep-debug --compress-debug-sections "$work/$name" "$work/$name.debug"
        chmod -x "$work/$name.debug"
        (cd "$work" && "$objcopy" --strip-unneeded --add-gnu-debuglink="$name.debug" "$name")
        ;;
    esac
    "$objcopy" --strip-debug "$work/libwsabi.a"
}

# What cargo says does not always tell that it is too old: one that does not know the edition names that.
why_not() {
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    # shellcheck disable=SC2086
    here=$(${CARGO:-cargo} --version 2>/dev/null | cut -d ' ' -f 2) || :
    if [ -z "$here" ]; then
        echo "wsabi: Rust $needed or newer is needed to build the library, but there is no cargo in PATH" >&2
    elif [ "$(printf '%s\n' "$needed" "$here" | sort -V | head -n 1)" != "$needed" ]; then
        echo "wsabi: Rust $needed or newer is needed to build the library, but cargo is version $here" >&2
    fi
    exit 1
}

main "$@"
