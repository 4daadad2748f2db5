#!/bin/sh
# The tests of threads under ThreadSanitizer: library and standard library are built for it, with the Rust of tests/portable, whose
# sources are there. It knows their locks by the atomics that these are made of. Takes some minutes to build, once. Ends
# with one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

tests='threads poller poller_model waiting reporting stalls callbacks'
home=$PWD/build/portable
target=x86_64-unknown-linux-gnu
library=build/target-tsan/$target/debug/libwsabi.a

build_library() {
    LD_LIBRARY_PATH=$home/usr/lib/x86_64-linux-gnu:$home/lib/x86_64-linux-gnu RUSTC=$home/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        RUSTFLAGS=-Zsanitizer=thread "$home/usr/bin/cargo" -Zbuild-std=std,panic_unwind rustc --locked --lib \
        --crate-type staticlib --target $target --target-dir build/target-tsan
}

# What rustc calls and GCC's run-time library does not have; those that it watches in their place.
build_missing() {
    cat >$scratch/missing.c <<'END'
#include <string.h>
void *__tsan_memcpy(void *to, const void *from, size_t len) { return memcpy(to, from, len); }
void *__tsan_memmove(void *to, const void *from, size_t len) { return memmove(to, from, len); }
void *__tsan_memset(void *to, int byte, size_t len) { return memset(to, byte, len); }
END
    ${CC:-cc} -fno-builtin -c $scratch/missing.c -o $scratch/missing.o
}

# build NAME SOURCE
build() {
    ${CC:-cc} -std=c99 -g -O1 -fsanitize=thread -D_POSIX_C_SOURCE=200809L -Iinclude -Itests/c "$2" $scratch/missing.o \
        $library -o "$scratch/$1.tsan" -lpthread -ldl -lm
}

run() { CHECK_REDUCE=10 TSAN_OPTIONS='second_deadlock_stack=1 history_size=4' "$scratch/$1.tsan"; }

# Were it not, the others would pass for nothing.
a_race_in_the_program_is_found() {
    cat >$scratch/race.c <<'END'
#include "wsabi.h"
#include <pthread.h>
static ws_message shared;
static void *write_it(void *arg) { (void)arg; shared.len++; return NULL; }
int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, write_it, NULL);
  shared.len++;
  return pthread_join(thread, NULL) + (int)(ws_now() & 0);
}
END
    build race $scratch/race.c && ! run race
}

the_library_is_watched() { [ "$(nm $library 2>/dev/null | grep -c '__tsan_\(read\|write\|atomic\)')" -gt 1000 ]; }

if [ ! -e build/portable/unpacked ]; then
    skip 'ThreadSanitizer: there is no Rust with the sources of std'
elif check 'the library builds' build_library && check 'what is missing builds' build_missing; then
    check the_library_is_watched the_library_is_watched
    check a_race_in_the_program_is_found a_race_in_the_program_is_found
    for test in $tests; do
        check "test_$test builds" build "test_$test" "tests/c/test_$test.c" && check "test_$test" run "test_$test"
    done
fi
finish
