# shellcheck shell=sh
# What the scripts here share: counting, showing, and tools that may be missing. Sourced, from the root of the tree.

passed=0
failed=0
scratch=build/c
mkdir -p $scratch

# check NAME COMMAND...: the command is to succeed, and so does this then. What it says is shown only where it does not.
check() {
    check_name=$1
    shift
    if "$@" >$scratch/check.log 2>&1; then
        passed=$((passed + 1))
        echo "ok $check_name"
    else
        failed=$((failed + 1))
        echo "FAIL $check_name"
        sed 's/^/    /' $scratch/check.log | head -40
        false
    fi
}

# Where everything has to be there, a skip is a failure.
skip() {
    echo "skip $1"
    if [ "${CI:-}" = true ]; then failed=$((failed + 1)); fi
}

have() { command -v "$1" >/dev/null 2>&1; }

finish() {
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
}
