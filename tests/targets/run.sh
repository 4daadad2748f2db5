#!/bin/sh
# What the library is on platforms that are not here: type-checked for those without a linker, in WebAssembly run with
# wasmtime, in memory mode. All in the root `windows` of tests/root.sh, whose rustc builds the standard library along; zig and
# wasmtime are those of packaging/setup-dist.sh. docs/platforms.md has a row for each. Ends with one line.
#   run.sh [TARGET...]   those only
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/targets
mkdir -p $scratch

# Without TLS: the verifier of certificates of each platform links its own libraries.
typed='aarch64-apple-darwin x86_64-apple-darwin aarch64-apple-ios x86_64-unknown-freebsd aarch64-linux-android x86_64-linux-android
    wasm32-unknown-emscripten'
wasi=wasm32-wasip1
zig=$(echo "$PWD"/build/dist/venv/lib/python3*/site-packages/ziglang/zig)

cargo_there() {
    sh tests/root.sh run windows env CARGO=cargo RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=/output/targets cargo "$@"
}

type_checks() { cargo_there check --quiet --locked --lib --no-default-features --features net --target "$1" -Zbuild-std=std,panic_unwind; }

# A static library, which needs no linker.
builds_for_wasi() {
    cargo_there rustc --quiet --locked --lib --crate-type staticlib --no-default-features --target $wasi -Zbuild-std=std,panic_abort &&
        [ -f build/root-windows/targets/$wasi/debug/libwsabi.a ]
}

runs_in_wasmtime() { # SOURCE
    "$zig" cc -target wasm32-wasi -O1 -Iinclude -Itests/c -D_WASI_EMULATED_SIGNAL -lwasi-emulated-signal "$1" \
        build/root-windows/targets/$wasi/debug/libwsabi.a -o "$scratch/program.wasm" &&
        timeout 300 build/dist/venv/bin/python tests/targets/wasi.py "$scratch/program.wasm"
}

# A program that counts its tests.
tests_run_in_wasmtime() { # SOURCE
    runs_in_wasmtime "$1" >"$scratch/tests.log" 2>&1
    grep -v '^ok' "$scratch/tests.log"
    set -- $(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$scratch/tests.log" || echo 0 passed, 1 failed)
    passed=$((passed + $1))
    failed=$((failed + $3))
}

[ $# -gt 0 ] || set -- $typed $wasi
for target; do
    if [ "$target" != $wasi ]; then
        check "$target: type-checks without TLS" type_checks "$target"
    elif check "$wasi: builds without sockets" builds_for_wasi; then
        check "$wasi: client and server in memory" runs_in_wasmtime examples-c/memory_pair.c
        check "$wasi: compression" runs_in_wasmtime examples-c/compression.c
        echo "$wasi: tests/c/test_memory.c"
        tests_run_in_wasmtime tests/c/test_memory.c
    fi
done
finish
