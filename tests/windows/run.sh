#!/bin/sh
# Builds the library, its tests and the examples for Windows (x86_64, mingw-w64), and runs them under wine: the unit tests and the
# promises, the tests in C and C++, each program with its counterpart for Linux, plain and with TLS, and a thousand connections
# with one poller. All that happens in the root `windows`, which `make setup-windows` makes. What Windows or wine does not have is left
# out when it is compiled, and listed in absent.txt, which is compared. Ends with one line.
#
# PARTS="c both" runs these parts of inside.sh only, ONLY="test_tls test_threads" these tests in C; logs are in build/root-windows/logs.
set -u
cd "$(dirname "$0")/../.." || exit 1

if ! sh tests/root.sh path windows >/dev/null; then
    echo 'windows: there is no root: run make setup-windows' >&2
    echo '0 passed, 0 failed, 1 skipped'
    [ "${CI:-}" != true ]
    exit
fi
log=build/windows.log
mkdir -p build
{ sh tests/root.sh run windows env PARTS="${PARTS:-}" ONLY="${ONLY:-}" CONNECTIONS="${CONNECTIONS:-}" sh tests/windows/inside.sh 2>&1 || echo 'failed'; } | tee $log
tr -d '\r' <$log | awk '
    /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { passed += $1; failed += $3; skipped += $5 }
    /^failed$/ { broken = 1 }
    END {
        failed += broken && !failed
        printf "windows: %d passed, %d failed, %d skipped\n", passed, failed, skipped
        exit failed > 0
    }'
