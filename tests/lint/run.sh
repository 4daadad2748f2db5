#!/bin/sh
# All that can be found without running anything: format, clippy with and without TLS and sockets, rustdoc, warnings in C
# and C++, shell scripts, Python. What is not here is skipped, and said; with CI=true a skip is a failure. CFLAGS_ALL and CXXFLAGS_ALL are the Makefile's. Ends with one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

cargo=${CARGO:-cargo}
: "${CFLAGS_ALL:=-std=c99 -Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -Iinclude}"
: "${CXXFLAGS_ALL:=-std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude}"

files() { git ls-files --cached --others --exclude-standard -- "$@"; }

crates_are_formatted() {
    for manifest in $(files 'Cargo.toml' '*/Cargo.toml'); do
        $cargo fmt --check --manifest-path "$manifest" || return
    done
}

# compiles COMPILER FLAGS FILE...: all of them, and what is wrong with each.
compiles() {
    compiler=$1
    flags=$2
    shift 2
    wrong=0
    for file; do
        # The flags are words.
        # shellcheck disable=SC2086
        "$compiler" $flags -Itests/c -fsyntax-only "$file" || wrong=1
    done
    return $wrong
}

# those_with_their_headers COMPILER FILE...: the files whose headers are here; the others are named.
those_with_their_headers() {
    compiler=$1
    shift
    for file; do
        if "$compiler" -Iinclude -Itests/c -M "$file" >/dev/null 2>&1; then
            echo "$file"
        else
            echo "$file" >>$scratch/without_headers
        fi
    done
}

python_compiles() {
    python3 - "$@" <<'END'
import sys
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        compile(file.read(), path, "exec")
END
}

check 'rustfmt' crates_are_formatted
# CARGO may be several words.
# shellcheck disable=SC2086
check 'clippy' $cargo clippy --all-targets -- -D warnings
# shellcheck disable=SC2086
check 'clippy without TLS' $cargo clippy --all-targets --no-default-features --features net -- -D warnings
# shellcheck disable=SC2086
check 'clippy without sockets' $cargo clippy --all-targets --no-default-features -- -D warnings
export RUSTDOCFLAGS='-D warnings'
# shellcheck disable=SC2086
check 'rustdoc' $cargo doc --no-deps
# shellcheck disable=SC2086
check 'rustdoc, what is private too' $cargo doc --no-deps --document-private-items
unset RUSTDOCFLAGS

# Programs to compare with are built, and their headers installed, for benchmarks only; those for Windows by their tests.
: >$scratch/without_headers
c_files=$(files '*.c' ':!benches/tcp/lws.c' ':!tests/windows/*')
cpp_files=$(files 'examples-cpp/*.cpp')
for compiler in gcc clang; do
    if have $compiler; then
        # shellcheck disable=SC2086,SC2046
        check "C with $compiler" compiles $compiler "$CFLAGS_ALL" $(those_with_their_headers $compiler $c_files)
    else
        skip "C with $compiler: it is not there"
    fi
done
for compiler in g++ clang++; do
    if have $compiler; then
        # shellcheck disable=SC2086,SC2046
        check "C++ with $compiler" compiles $compiler "$CXXFLAGS_ALL" $(those_with_their_headers $compiler $cpp_files)
    else
        skip "C++ with $compiler: it is not there"
    fi
done
for file in $(sort -u $scratch/without_headers); do skip "$file: what it includes is not there"; done

if have shellcheck; then
    # shellcheck disable=SC2046
    check 'shellcheck' shellcheck -x --severity=warning $(files '*.sh') .ci/run scripts/verify-dist
else
    skip 'shellcheck: it is not there'
fi

# shellcheck disable=SC2046
check 'Python compiles' python_compiles $(files '*.py')
check 'the tables of the bindings are the generated ones' python3 bindings/generate.py --check
python=build/python/venv/bin/python
if [ -x $python ]; then
    check 'mypy' $python -m mypy --strict --cache-dir build/python/mypy bindings/python/src/wsabi
else
    skip "mypy: 'make setup-python' installs it"
fi
finish
