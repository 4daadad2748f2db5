#!/bin/sh
# dist.sh [TARGET...]: builds the archives of a release in dist/, for linux-x86_64 or for what is named: the headers, the
# libraries, the files for pkg-config and CMake, the licences and a bill of materials (CycloneDX); a second archive has the
# debug information. `make dist` calls it, once packaging/setup-dist.sh has installed zig, which links against an old glibc.
#
# linux-{x86_64,aarch64}[-musl], macos-{arm64,x86_64}: what is not for this machine and glibc is built in the root `windows` of
# tests/root.sh, with a standard library from source. The bytes do not depend on where the clone lies, on who builds, or when: SOURCE_DATE_EPOCH
# is the time of the last commit where it is not set. Checksums are written, too, and signed where there is a key: see checksums.sh.
# The root of the tree is the current directory.
set -eu
export LC_ALL=C

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
macos=
glibc=2.17 # RHEL 7 and manylinux2014
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
venv=$PWD/build/dist/venv

main() {
    umask 022
    mkdir -p dist
    for target in "${@:-linux-x86_64}"; do
        case $target in
        linux-x86_64 | linux-aarch64) triple=${target#linux-}-unknown-linux-gnu zig_triple=$triple.$glibc ;;
        linux-x86_64-musl | linux-aarch64-musl)
            triple=${target#linux-} && triple=${triple%-musl}-unknown-linux-musl zig_triple=$triple ;;
        macos-arm64) triple=aarch64-apple-darwin zig_triple=$triple macos=11.0 ;;
        macos-x86_64) triple=x86_64-apple-darwin zig_triple=$triple macos=10.14 ;;
        *) echo "dist.sh: there is no target $target" >&2 && exit 2 ;;
        esac
        lib=build/dist/$target/lib
        if [ "$triple" = "$(rustc -vV | sed -n 's/^host: //p')" ]; then build_here; else build_in_root; fi
        pack
    done
    sh packaging/checksums.sh dist
}

# --- building ---

build_here() {
    rust_sources=$(rustc --print sysroot)/lib/rustlib/src/rust
    rust_commit=$(rustc -vV | sed -n 's/^commit-hash: //p')
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    map="$cargo_home=/cargo $(realpath "$cargo_home")=/cargo $PWD=/wsabi $rust_sources=/rustc/$rust_commit"
    build env PATH="$venv/bin:$PATH" ZIG_GLOBAL_CACHE_DIR="$PWD/build/dist/zig" CARGO_ZIGBUILD_CACHE_DIR="$PWD/build/dist/zigbuild"
}

# There, the clone is in the same place every time.
build_in_root() {
    map='/cargo=/cargo'
    build sh tests/root.sh run windows env PATH=/wsabi/build/dist/venv/bin:/usr/bin:/bin RUSTC_BOOTSTRAP=1 CARGO=cargo \
        ZIG_GLOBAL_CACHE_DIR=/wsabi/build/dist/zig CARGO_ZIGBUILD_CACHE_DIR=/wsabi/build/dist/zigbuild \
        CARGO_ZIGBUILD_ZIG_PATH="/wsabi/$(cd "$venv" && echo lib/python3*/site-packages/ziglang/zig | sed 's|^|build/dist/venv/|')" \
        OBJCOPY=llvm-objcopy STD=-Zbuild-std=std,panic_unwind
}

# build ENVIRONMENT...: into $lib, with $map's names for the directories.
build() {
    rust_flags=
    c_flags=
    for pair in $map; do
        rust_flags="$rust_flags --remap-path-prefix=$pair"
        c_flags="$c_flags -ffile-prefix-map=$pair"
    done
    # A shared library needs the C library of the system that it runs on.
    # The linker strips what it signs, for a signature does not outlive a change; and our stubs stand for Apple's frameworks.
    case $triple in
    *-musl) rust_flags="$rust_flags -Ctarget-feature=-crt-static" ;;
    *-apple-darwin) rust_flags="$rust_flags -Clink-arg=-F/wsabi/packaging/macos -Clink-arg=-s" ;;
    esac
    # zig exports whatever Mach-O symbol it meets: LTO leaves those of the ABI only, and runs where no crate of Rust is made along.
    case $triple in
    *-apple-darwin) set -- "$@" 'CARGO=env CARGO=cargo cargo-zigbuild' CARGO_BUILD='rustc --crate-type cdylib,staticlib' ;;
    *) set -- "$@" CARGO_BUILD=zigbuild ;;
    esac
    # What zig compiles by itself, the unwinder, has no other flags. STD is a word, or none.
    # shellcheck disable=SC2016
    "$@" RUSTFLAGS="${rust_flags# }" "CFLAGS_$(echo "$triple" | tr - _)=${c_flags# }" \
        CCC_OVERRIDE_OPTIONS="#$(echo "$c_flags" | sed 's/ -f/ +-f/g')" SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" CARGO_INCREMENTAL=0 ${macos:+MACOSX_DEPLOYMENT_TARGET=$macos} \
        sh -c 'exec sh packaging/library.sh "$@" ${STD:-}' sh "$lib" --locked --target "$zig_triple" --target-dir build/dist/target
}

# --- packing ---

pack() {
    name=wsabi-$version-$target
    stage=build/dist/$target/stage
    rm -rf "$stage"
    mkdir -p "$stage"
    LIBRARIES=$lib sh packaging/install.sh install "/$name" "$PWD/$stage"
    home=$stage/$name
    rm "$home/share/doc/wsabi/installed.txt"
    # It may be unpacked anywhere.
    sed -i 's|^prefix=.*|prefix=${pcfiledir}/../..|' "$home/lib/pkgconfig/wsabi.pc"
    case $target in linux-*) notice_of_the_unwinder ;; esac
    python3 packaging/sbom.py "$triple" >"$home/share/doc/wsabi/wsabi.cdx.json"

    for file in "$home"/lib/*.debug; do
        [ -e "$file" ] || continue
        mkdir -p "$stage/debug/$name/lib"
        mv "$file" "$stage/debug/$name/lib/"
        archive "$name-debug" "$stage/debug" "$name"
    done
    archive "$name" "$stage" "$name"
}

# cargo-zigbuild links LLVM's instead of gcc's.
notice_of_the_unwinder() {
    {
        printf '%s\n' "$(printf '=%.0s' $(seq 100))" 'The unwinder of LLVM (libunwind), which is linked into the shared library:' ''
        cat "$venv"/lib/python3*/site-packages/ziglang/lib/libunwind/LICENSE.TXT
    } >>"$home/share/doc/wsabi/THIRD-PARTY-NOTICES.txt"
}

# archive NAME DIRECTORY WHAT: the same bytes for the same files.
archive() {
    tar --create --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
        --mtime="@$SOURCE_DATE_EPOCH" -C "$2" "$3" | gzip -9n >"dist/$1.tar.gz.new"
    mv "dist/$1.tar.gz.new" "dist/$1.tar.gz"
    echo "dist/$1.tar.gz: $(stat -c %s "dist/$1.tar.gz") bytes"
}

main "$@"
