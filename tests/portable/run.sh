#!/bin/sh
# Runs the tests in Rust as programs for other processors: i386 (32 bits), arm64 (NEON) and s390x (big endian). Debian's
# rustc, cargo and sources of std are unpacked under build/portable, and std is built along, so that no target has to be
# installed for the rustc that is there; the cross compilers and QEMU are installed. TLS is left out: rustls takes a
# quarter of the time to build, and the bytes of TLS are its own. QEMU has the unit tests, the regressions and the random connections to run;
# the other tests, with every byte cut everywhere, would take it minutes, and are run for i386, which needs no QEMU. Ends
# with a line for each processor; one that cannot be tested is named and counts as skipped, and with CI=true as a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1

home=build/portable
# Where packages put them: some still come from before /lib was a link.
libraries=$PWD/$home/usr/lib/x86_64-linux-gnu:$PWD/$home/lib/x86_64-linux-gnu
status=0

main() {
    mkdir -p $home/debs/partial
    obtain "Debian's Rust" has_rust unpack_rust
    # tests/c/tsan.sh needs no more.
    [ "${1:-}" != --setup ] || { has_rust; exit; }
    processor i386 i686 '/usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib' --tests
    for_qemu='--test regressions --test random'
    processor arm64 aarch64 'qemu-aarch64 -L /usr/aarch64-linux-gnu' "$for_qemu"
    processor s390x s390x 'qemu-s390x -L /usr/s390x-linux-gnu' "$for_qemu"
    [ $status = 0 ]
}

# processor NAME ARCHITECTURE RUNNER TESTS: what Debian calls it, and what the compilers do; how a program for it is run.
processor() {
    name=$1 gcc=$2-linux-gnu-gcc runner=$3
    if ! has_rust || ! obtain "what $name needs" has_tools install_tools; then
        echo "portable: skipped $name"
        echo '0 passed, 0 failed, 1 skipped'
        [ "${CI:-}" != true ] || status=1
        return
    fi
    echo "portable: the tests for $name"
    variable=CARGO_TARGET_$(echo "$2" | tr '[:lower:]' '[:upper:]')_UNKNOWN_LINUX_GNU
    # The tests are words.
    # shellcheck disable=SC2086
    env "${variable}_LINKER=$gcc" "${variable}_RUNNER=$runner" \
        LD_LIBRARY_PATH="$libraries" RUSTC="$PWD/$home/usr/bin/rustc" RUSTC_BOOTSTRAP=1 \
        timeout 1200 $home/usr/bin/cargo --config tests/portable/cargo.toml test --profile portable --locked \
        --target "$2-unknown-linux-gnu" --target-dir build/target-portable --no-fail-fast \
        --no-default-features --features net --lib $4 >$home/$name.log 2>&1
    report $? "$home/$name.log"
}

# report STATUS LOG: a warning is a failure, and so is an end that no test accounts for.
report() {
    if [ "$1" != 0 ] || grep -q '^warning: .wsabi. ' "$2"; then
        status=1
        grep -v ' \.\.\. ok$' "$2" | grep -v '^ *Compiling ' | tail -n 80
    fi
    awk -v status="$1" '
        /^warning: .wsabi. / { failed++ }
        /^test result: / { passed += $4; failed += $6; skipped += $8 }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed + (status && !failed), skipped }
    ' "$2"
}

# obtain NAME TEST INSTALL: whether it is there, or can be had.
obtain() {
    $2 && return
    echo "portable: installing $1"
    $3 >$home/setup.log 2>&1 && $2 && return
    tail -n 5 $home/setup.log >&2
    echo "portable: cannot be had: $1" >&2
    false
}

has_rust() { [ -e $home/unpacked ]; }
# The runner is words.
# shellcheck disable=SC2086
has_tools() {
    echo 'int main(void) { return 0; }' | "$gcc" -x c - -o $home/hello && $runner $home/hello
} >/dev/null 2>&1

# With what they need and this system lacks; beside the rustc that is there, which they must not stand in for. Old package
# lists would give an old one.
unpack_rust() {
    rm -rf "${home:?}/usr" "${home:?}/lib"
    as_root apt-get -o DPkg::Lock::Timeout=300 update || return
    apt -o Dir::Cache::archives="$PWD/$home/debs/" install --download-only -y --no-install-recommends \
        rustc-web cargo-web rust-web-src || return
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

install_tools() {
    case $runner in
    qemu*) apt install -y --no-install-recommends qemu-user || return ;;
    esac
    apt install -y --no-install-recommends "gcc-${gcc%-gcc}" "libc6-dev-$name-cross"
}

apt() { # the package lists of a fresh machine are empty or old: fetched where the first try fails
    DEBIAN_FRONTEND=noninteractive as_root apt-get -o DPkg::Lock::Timeout=300 "$@" ||
        { as_root apt-get -o DPkg::Lock::Timeout=300 update &&
            DEBIAN_FRONTEND=noninteractive as_root apt-get -o DPkg::Lock::Timeout=300 "$@"; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

main "$@"
