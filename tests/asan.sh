#!/bin/sh
# Random API calls, hostile peers and poller schedules under AddressSanitizer, SECONDS of each (600): the library is built for it.
# Seeds are new in each run, and printed where something is found. Ends with one line.
set -u
cd "$(dirname "$0")/.." || exit 1
. tests/c/checks.sh

seconds=${SECONDS_EACH:-600}
target=x86_64-unknown-linux-gnu
# Leaks are valgrind's matter.
export ASAN_OPTIONS=detect_leaks=0

# instrumented COMMAND ARGUMENT...
instrumented() {
    command=$1
    shift
    env RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=build/target-asan \
        ${CARGO:-cargo} "$command" --locked --target $target "$@"
}

build_model() {
    instrumented rustc --lib --crate-type staticlib &&
        ${CC:-cc} -std=c99 -g -O1 -fsanitize=address -D_POSIX_C_SOURCE=200809L -Iinclude -Itests/c \
            tests/c/test_poller_model.c build/target-asan/$target/debug/libwsabi.a -o $scratch/model -lpthread -ldl -lm
}

# Were it not, the others would pass for nothing.
a_use_after_free_is_found() {
    cat >$scratch/fault.c <<'END'
#include "wsabi.h"
int main(void) {
  ws_conn *conn;
  if (ws_from_partially_read(NULL, WS_CLIENT, NULL, 0, &conn) != WS_OK) return 0;
  ws_free(conn);
  return (int)(ws_get_state(conn) & 0);
}
END
    ${CC:-cc} -std=c99 -g -O1 -fsanitize=address -D_POSIX_C_SOURCE=200809L -Iinclude \
        $scratch/fault.c build/target-asan/$target/debug/libwsabi.a -o $scratch/fault -lpthread -ldl -lm &&
        ! $scratch/fault 2>$scratch/found && grep -q heap-use-after-free $scratch/found
}

random_calls() { RANDOM_SECONDS=$((seconds / 2)) instrumented test --test loans -- --test-threads 1; }
hostile_peers() { RANDOM_SECONDS=$((seconds / 8)) instrumented test --test random -- --test-threads 1; }
poller_schedules() { MODEL_SECONDS=$seconds $scratch/model; }

if check 'the library and the model build' build_model; then
    check a_use_after_free_is_found a_use_after_free_is_found
    check "random API calls, $seconds s" random_calls
    check "hostile peers, $seconds s" hostile_peers
    check "poller schedules, $seconds s" poller_schedules
fi
finish
