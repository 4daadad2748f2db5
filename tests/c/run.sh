#!/bin/sh
# All tests in C: plain, under valgrind, under sanitizers; then the ABI, an installation, and the examples. What
# setup.sh could not install is skipped, and said; with CI=true a skip is a failure. Ends with one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

tests='boundary memory service callbacks sockets unix poller poller_model resolver waiting reporting stalls tls threads fork sentences unload'
flags="-std=c99 -g -Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -Iinclude -Itests/c"

# suite NAME COMMAND...: a program that ends with its own count, which is added. A crash, or what a checker finds beyond
# the failures, counts as one failure more.
suite() {
    name=$1
    shift
    "$@" >$scratch/suite.log 2>&1
    status=$?
    count=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' $scratch/suite.log | tail -1)
    set -- ${count:-0 passed, 0 failed}
    more=0
    if [ -z "$count" ] || { [ $status != 0 ] && { [ "$3" = 0 ] || [ $status != 1 ]; }; }; then more=1; fi
    passed=$((passed + $1))
    failed=$((failed + $3 + more))
    echo "$name: ${count:-no count} (status $status)"
    grep '^skip ' $scratch/suite.log
    [ $status = 0 ] || grep -vE '^ok|^skip |^[0-9]+ passed' $scratch/suite.log | head -25 | sed 's/^/    /'
}

# builds NAME COMMAND...
builds() {
    name=$1
    shift
    "$@" >$scratch/build.log 2>&1 && return
    failed=$((failed + 1))
    echo "$name does not build"
    head -40 $scratch/build.log
    false
}

has_symbol() { nm "$1" | grep -q "$2"; }

builds 'the library' make -s lib || finish

# The test of unloading must not be linked to what it loads.
programs=$(for test in $tests; do echo build/bin/test_$test; done)
# shellcheck disable=SC2086
if builds 'a test' make -s -B CFLAGS=-Wl,--as-needed $programs; then
    for test in $tests; do suite "test_$test" build/bin/test_$test; done
    if have valgrind; then
        for test in $tests; do
            # One thread runs at a time there; unless they take turns, one that never waits keeps the others out.
            #
            # ring keeps the state of AES-GCM below the stack pointer, which counts as undefined there.
            undefined=--undef-value-errors=yes
            case $test in tls | service | waiting | reporting | poller_model | stalls | fork) undefined=--undef-value-errors=no ;; esac
            CHECK_REDUCE=40 suite "test_$test under valgrind" valgrind -q --fair-sched=yes $undefined --error-exitcode=9 --leak-check=full \
                --errors-for-leak-kinds=definite,indirect,possible build/bin/test_$test
        done
    else
        skip 'valgrind: it is not there'
    fi
fi

# The tests see the library's memory too, since malloc() and what it hands out are watched in the whole process.
#
# ThreadSanitizer has a run of its own, `make test-tsan`: the standard library has to be built for it, too.
for test in $tests; do
    program=$scratch/test_$test.sanitized
    # shellcheck disable=SC2086
    builds "test_$test with sanitizers" ${CC:-cc} $flags -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
        tests/c/test_$test.c -o "$program" build/lib/libwsabi.a -lpthread -ldl -lm || continue
    if has_symbol "$program" __asan_init && has_symbol "$program" __ubsan_handle; then
        LD_LIBRARY_PATH=build/lib CHECK_REDUCE=10 suite "test_$test with sanitizers" "$program"
    else
        failed=$((failed + 1))
        echo "test_$test has no sanitizer in it"
    fi
done

suite 'the ABI' sh tests/c/check_abi.sh
suite 'what pollers share' sh tests/c/check_pollers.sh
suite 'a build without sockets' sh tests/c/check_without_net.sh
suite 'an installation' sh tests/c/check_install.sh
suite 'a fresh clone' sh tests/c/check_fresh_clone.sh
if [ -f examples-c/smoke.sh ]; then
    builds 'an example' make -s examples && suite 'the examples' sh examples-c/smoke.sh
    suite 'the README' sh tests/c/check_readme.sh
fi
finish
