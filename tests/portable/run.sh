#!/bin/sh
# Runs the tests in Rust as programs for other processors: i386 (32 bits), arm64 (NEON) and s390x (big endian), with the Rust
# that setup.sh unpacks: std is built along, so that no target has to be installed for the rustc that is there. TLS is left
# out: rustls takes a quarter of the time to build, and the bytes of TLS are its own. QEMU has the unit tests, the
# regressions and the random connections to run; the other tests, with every byte cut everywhere, would take it minutes,
# and are run for i386, which needs no QEMU. Ends with a line for each processor; one that cannot be tested is named and
# counts as skipped, and with CI=true as a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/portable/processors.sh
status=0

processor() { # NAME ARCHITECTURE RUNNER
    name=$1 runner=$3
    # The runner is words.
    # shellcheck disable=SC2086
    if ! has_rust || ! has_tools "$2-linux-gnu-gcc" $runner; then
        echo "portable: skipped $name: setup.sh has not installed what it needs"
        echo '0 passed, 0 failed, 1 skipped'
        [ "${CI:-}" != true ] || status=1
        return
    fi
    case $runner in
    qemu*) tests='--test regressions --test random' ;;
    *) tests=--tests ;;
    esac
    echo "portable: the tests for $name"
    variable=CARGO_TARGET_$(echo "$2" | tr '[:lower:]' '[:upper:]')_UNKNOWN_LINUX_GNU
    # The tests are words.
    # shellcheck disable=SC2086
    env "${variable}_LINKER=$2-linux-gnu-gcc" "${variable}_RUNNER=$runner" \
        LD_LIBRARY_PATH="$libraries" RUSTC="$PWD/$home/usr/bin/rustc" RUSTC_BOOTSTRAP=1 \
        timeout 1200 $home/usr/bin/cargo --config tests/portable/cargo.toml test --profile portable --locked \
        --target "$2-unknown-linux-gnu" --target-dir build/target-portable --no-fail-fast \
        --no-default-features --features net --lib $tests >$home/$name.log 2>&1
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

each_processor processor
[ $status = 0 ]
