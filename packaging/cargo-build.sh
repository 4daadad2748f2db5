#!/bin/sh
# cargo-build.sh ARGUMENTS...: runs `cargo build` with these arguments, and prints the files that are now built, one a
# line. Only cargo knows where they are: CARGO_TARGET_DIR, a configuration file or a --target all move them. CARGO_BUILD may
# name what stands in for `build`: zigbuild.
set -eu

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
# CARGO may be several words, such as "cargo +stable".
# shellcheck disable=SC2086
${CARGO:-cargo} ${CARGO_BUILD:-build} --message-format=json-render-diagnostics "$@" >"$messages"
sed -n '/"reason":"compiler-artifact"/s/.*"filenames":\[\(.*\)\],"executable".*/\1/p' "$messages" |
    grep -o '"[^"]*"' | tr -d '"'
