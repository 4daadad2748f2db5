#!/bin/sh
# The wheel of `make wheels` for this machine, installed in a fresh environment that knows neither the clone nor cargo, and
# the sdist.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
processor=$(uname -m)
wheel=$PWD/dist/wsabi-$version-py3-none-manylinux_2_17_$processor.manylinux2014_$processor.whl
sdist=$PWD/dist/wsabi-$version.tar.gz
auditwheel=$PWD/build/dist/venv/bin/auditwheel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

outside() { (cd "$work" && env -i PATH=/usr/bin:/bin HOME="$work" "$@"); }

auditwheel_agrees() {
    $auditwheel show "$wheel" | tr '\n' ' ' | tee "$work/said"
    grep -q "consistent with the following platform tag: \"manylinux_2_17_$processor\"" "$work/said"
}

installs_into_a_fresh_environment() {
    outside python3 -m venv fresh && outside fresh/bin/pip install --no-index --disable-pip-version-check "$wheel" &&
        outside fresh/bin/python -I -c 'import wsabi._library as it; print(it.LIBRARY)' | grep "^$work/fresh/"
}

runs_the_program_of_the_readme() {
    awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/hello.py" &&
        outside timeout 30 fresh/bin/python -W error hello.py | tee "$work/said" && [ "$(cat "$work/said")" = hello ]
}

runs_as_a_command() { outside fresh/bin/python -I -m wsabi --help | grep 'usage: python -m wsabi'; }

has_the_library_of_the_archive() {
    mkdir "$work/archive" && tar -xf "dist/wsabi-$version-linux-$processor.tar.gz" -C "$work/archive" &&
        cmp "$work"/archive/*/lib/libwsabi.so "$work"/fresh/lib/python3*/site-packages/wsabi/libwsabi.so.1
}

carries_the_crate() {
    tar -xf "$sdist" -C "$work" && crate=$work/wsabi-$version/crate &&
        cargo metadata --locked --format-version 1 --manifest-path "$crate/Cargo.toml" >"$work/metadata" &&
        diff -r src "$crate/src" && diff -r include "$crate/include" && diff Cargo.lock "$crate/Cargo.lock"
}

check auditwheel_agrees auditwheel_agrees
if check installs_into_a_fresh_environment installs_into_a_fresh_environment; then
    check runs_the_program_of_the_readme runs_the_program_of_the_readme
    check runs_as_a_command runs_as_a_command
    check has_the_library_of_the_archive has_the_library_of_the_archive
fi
check carries_the_crate carries_the_crate
finish
