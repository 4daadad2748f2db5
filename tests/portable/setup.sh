#!/bin/sh
# Unpacks Debian's rustc, cargo and sources of std under build/portable, for run.sh and for tests/c/tsan.sh, and installs the
# cross compilers and QEMU: for all processors of processors.sh, or for none with `--rust`. Idempotent, and quick when
# nothing is missing. What cannot be had is named; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=portable
. scripts/obtain.sh
. tests/portable/processors.sh

main() {
    mkdir -p $home/debs/partial
    need "Debian's Rust" has_rust unpack_rust
    [ "${1:-}" = --rust ] || each_processor tools
    all_is_here
}

tools() { # NAME ARCHITECTURE RUNNER
    need "what $1 needs" "has_tools $2-linux-gnu-gcc $3" install_tools "$1" "$2" "$3"
}

install_tools() {
    case $3 in
    qemu*) apt_install qemu-user || return ;;
    esac
    apt_install "gcc-$2-linux-gnu" "libc6-dev-$1-cross"
}

# With what they need and this system lacks; beside the rustc that is there, which they must not stand in for. Old package
# lists would give an old one.
unpack_rust() {
    rm -rf "${home:?}/usr" "${home:?}/lib"
    apt update || return
    apt_install --download-only -o Dir::Cache::archives="$PWD/$home/debs/" rustc-web cargo-web rust-web-src || return
    for deb in "$home"/debs/*.deb; do
        case $deb in
        */rust-web-src_*) dpkg --fsys-tarfile "$deb" | tar -x -C $home --wildcards '*/library' './usr/lib/*' || return ;;
        *) dpkg -x "$deb" $home || return ;;
        esac
    done
    rm -f "$home"/debs/*.deb
    is_new_enough && touch $home/unpacked
}

is_new_enough() {
    wanted=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
    version=$(LD_LIBRARY_PATH=$libraries $home/usr/bin/rustc --version | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$wanted" "$version" | sort -V | head -n 1)" = "$wanted" ] ||
        { echo "Rust $wanted is needed, Debian has $version" && false; }
}

main "$@"
