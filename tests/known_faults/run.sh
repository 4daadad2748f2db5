#!/bin/sh
# Runs the tests of faults that are known and not fixed yet, each in a process of its own: every one must fail, by a check,
# a crash, or by not ending in time. One that passes fails the run: its fault is fixed, and it goes among the others. So
# does one that cannot begin (see NEED in tests/c/check.h), for it shows nothing. Ends with one line.
#
# sh run.sh PROGRAM...: programs in C; those in Rust are known to cargo. Both kinds list their tests with --list, and run one
# with --exact NAME.
set -u
cd "$(dirname "$0")/../.." || exit 1
limit=${KNOWN_FAULT_LIMIT:-30} # seconds for a test
jobs=5                         # they wait, most of the time

main() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    check_this_script
    run_all "$@" "$(rust_program)" >"$scratch/out"
    sort "$scratch/out"
    passed=$(grep -c '^ok ' "$scratch/out")
    failed=$(grep -c '^FAIL ' "$scratch/out")
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

# The path that cargo names.
rust_program() {
    # CARGO may be several words.
    # shellcheck disable=SC2086
    ${CARGO:-cargo} test --test known_faults --no-run 2>&1 | tee "$scratch/cargo" |
        sed -n 's/^ *Executable .*(\(.*\))$/\1/p' | grep . || { sed 's/^/    /' "$scratch/cargo" >&2; echo /does-not-build; }
}

run_all() {
    for program; do
        if "$program" --list >"$scratch/list" 2>&1; then
            sed -n "s|^\(.*\): test\$|$program \1|p" "$scratch/list"
        else
            echo "FAIL $program does not list its tests" >&3
        fi
    done 3>&1 >"$scratch/tests"
    xargs -r -P $jobs -n 2 sh "$0" --one <"$scratch/tests"
}

# One test, and what that shows.
run_one() {
    said=$(timeout -k 2 "$limit" "$1" --exact "$2" 2>&1)
    status=$?
    why=$(echo "$said" | sed -n 's/^FAIL [^:]*: //p; s/^thread .* panicked at //p' | head -1)
    case $status in
        0) echo "FAIL $2: it passes. Its fault is fixed: move it among the other tests, see tests/known_faults/README.md" ;;
        2 | 12[567]) echo "FAIL $2: it cannot begin: ${why:-status $status}" ;;
        124 | 137) echo "ok $2 fails: not done after $limit s" ;;
        *) echo "ok $2 fails: ${why:-status $status}" ;;
    esac
}

# A gate that nothing shuts is none.
check_this_script() {
    cat >"$scratch/planted" <<'END'
#!/bin/sh
case $2 in
    passes) exit 0 ;;
    cannot_begin) exit 2 ;;
    fails) exit 1 ;;
    crashes) kill -SEGV $$ ;;
    hangs) sleep 60 ;;
    *) for name in passes cannot_begin fails crashes hangs; do echo "$name: test"; done ;;
esac
END
    chmod +x "$scratch/planted"
    verdicts=$(KNOWN_FAULT_LIMIT=1 && export KNOWN_FAULT_LIMIT && run_all "$scratch/planted" "$scratch/missing" 2>/dev/null |
        sed 's/:.*//; s/ fails$//; s|does not list.*|missing|; s|/.*/||' | sort | tr '\n' ',')
    wanted='FAIL cannot_begin,FAIL missing missing,FAIL passes,ok crashes,ok fails,ok hangs,'
    if [ "$verdicts" != "$wanted" ]; then
        echo "FAIL this script tells wrong: $verdicts"
        echo '0 passed, 1 failed'
        exit 1
    fi
}

if [ "${1:-}" = --one ]; then
    shift
    run_one "$@"
else
    main "$@"
fi
