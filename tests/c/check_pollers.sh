#!/bin/sh
# Pollers share no lock on the path of an event, nor any other memory that both write: a counter that two threads share costs
# them no less. Counted by valgrind, which records every store of two threads that serve an event after the other.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

program=build/bin/two_pollers

# Prints how many stores each of them made, and how many pieces of 16 bytes both have stored to.
count() {
    valgrind -q --tool=lackey --trace-mem=yes --log-file=$scratch/stores "$program" "$@" >$scratch/marks || return
    # Marks are addresses as they are printed there: at least eight digits.
    sed 's/ 0x/ 00000000/; s/ 0*\(.\{8,\}\)$/ \1/' $scratch/marks >$scratch/addresses
    awk '
        FNR == NR && $1 == "stack" { stack = substr($2, 1, length($2) - 7) }
        FNR == NR { mark[$2] = $1; next }
        $1 != "S" && $1 != "M" { next }
        { split($2, place, ","); at = place[1] }
        mark[at] == "begins" { turn++; counts = 1; next }
        mark[at] == "ends" { counts = 0; next }
        !counts || substr(at, 1, length(at) - 7) == stack { next }
        { stores[turn]++; piece = substr(at, 1, length(at) - 1) }
        turn == 2 && first[piece] && !both[piece]++ { shared++; print "    both store to " at > "/dev/stderr" }
        turn == 1 { first[piece] = 1 }
        END { print stores[1] + 0, stores[2] + 0, shared + 0 }
    ' $scratch/addresses $scratch/stores
}

two_pollers_write_no_memory_in_common() {
    count >$scratch/counts
    read -r first second common <$scratch/counts
    echo "stores of the first: ${first:-none}, of the second: ${second:-none}, pieces that both store to: ${common:-none}"
    [ "${first:-0}" -gt 1000 ] && [ "${second:-0}" -gt 1000 ] && [ "${common:-1}" = 0 ]
}

a_lock_that_they_have_in_common_is_found() {
    count in_common >$scratch/counts
    read -r first second common <$scratch/counts
    echo "pieces that both store to: ${common:-none}"
    [ "${common:-0}" -gt 0 ]
}

if ! have valgrind; then
    skip 'what pollers share: valgrind is not there'
elif check 'two pollers build' make -s $program; then
    check two_pollers_write_no_memory_in_common two_pollers_write_no_memory_in_common
    check a_lock_that_they_have_in_common_is_found a_lock_that_they_have_in_common_is_found
fi
finish
