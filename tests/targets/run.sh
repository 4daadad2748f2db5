#!/bin/sh
# What the library is on platforms that are not here: type-checked for those without a linker; in WebAssembly run in memory
# mode, with wasmtime and with Node. All in the root `windows` of tests/root.sh, whose rustc builds the standard library along; zig and
# wasmtime are those of packaging/setup-dist.sh. docs/platforms.md has a row for each. Ends with one line.
#   run.sh [TARGET...]   those only; `more` are those of which another one of the same system is checked by default
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/targets
mkdir -p $scratch

# Without TLS: the verifier of certificates of each platform links its own libraries.
typed='aarch64-apple-darwin x86_64-unknown-freebsd'
more='x86_64-apple-darwin aarch64-apple-ios x86_64-linux-android'
android=aarch64-linux-android
wasi=wasm32-wasip1
emscripten=wasm32-unknown-emscripten
zig=$(echo "$PWD"/build/dist/venv/lib/python3*/site-packages/ziglang/zig)

cargo_there() {
    sh tests/root.sh run windows env CARGO=cargo RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=/output/targets cargo "$@"
}

type_checks() { cargo_there check --quiet --locked --lib --no-default-features --features net --target "$1" -Zbuild-std=std,panic_unwind; }

# With TLS. There is no linker and no C library for Android here.
builds_for_android() {
    sh tests/root.sh run windows env CARGO=cargo RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=/output/targets ZIG_GLOBAL_CACHE_DIR=/wsabi/build/dist/zig \
        ZIG="/wsabi/${zig#"$PWD"/}" CC_aarch64_linux_android='sh /wsabi/tests/targets/cc.sh aarch64-linux-musl' AR_aarch64_linux_android=llvm-ar \
        cargo rustc --quiet --locked --lib --crate-type staticlib --target $android -Zbuild-std=std,panic_unwind &&
        [ -f build/root-windows/targets/$android/debug/libwsabi.a ]
}

# A static library, which needs no linker.
builds() { # TARGET PANIC
    cargo_there rustc --quiet --locked --lib --crate-type staticlib --no-default-features --target "$1" -Zbuild-std=std,"$2" &&
        [ -f "$(library "$1")" ]
}

library() { echo "build/root-windows/targets/$1/debug/libwsabi.a"; }

runs_in_wasmtime() { # SOURCE
    "$zig" cc -target wasm32-wasi -O1 -DWITHOUT_NET -Iinclude -Itests/c -D_WASI_EMULATED_SIGNAL -lwasi-emulated-signal "$1" \
        "$(library $wasi)" -o "$scratch/program.wasm" &&
        timeout 300 build/dist/venv/bin/python tests/targets/wasi.py "$scratch/program.wasm"
}

# emcc and Node are those of the root `web`.
runs_in_node() { # SOURCE
    sh tests/root.sh run web emcc -O1 -DWITHOUT_NET -fwasm-exceptions -sALLOW_MEMORY_GROWTH -Iinclude -Itests/c "$1" \
        "$(library $emscripten)" -o /output/program.js &&
        timeout 300 sh tests/root.sh run web node /output/program.js
}

# A program that counts its tests.
tests_by() { # HOW SOURCE
    "$1" "$2" >"$scratch/tests.log" 2>&1
    sed '/^ok/d; s/^[0-9]* passed, /    &/' "$scratch/tests.log"
    # shellcheck disable=SC2046
    set -- $(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$scratch/tests.log" || echo 0 passed, 1 failed)
    passed=$((passed + $1))
    failed=$((failed + $3))
}

in_memory() { # TARGET PANIC HOW
    check "$1: builds without sockets" builds "$1" "$2" || return
    check "$1: client and server in memory" "$3" examples-c/memory_pair.c
    check "$1: compression" "$3" examples-c/compression.c
    for test in tests/c/test_memory.c tests/c/test_callbacks.c; do
        echo "$1: $test"
        tests_by "$3" $test
    done
}

# The targets are words.
# shellcheck disable=SC2086
case "$*" in
'') set -- $typed $android $wasi $emscripten ;;
more) set -- $more ;;
esac
for target; do
    case $target in
    "$android") check "$target: a static library with TLS" builds_for_android ;;
    "$wasi") in_memory $wasi panic_abort runs_in_wasmtime ;;
    "$emscripten") in_memory $emscripten panic_unwind runs_in_node ;;
    *) check "$target: type-checks without TLS" type_checks "$target" ;;
    esac
done
finish
