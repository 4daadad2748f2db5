#!/bin/sh
# wheels.sh [TARGET...]: builds the Python wheels for linux-x86_64, or for what is named, with the libraries that dist.sh has
# built, and the sdist, all into dist/. `make wheels` calls it. auditwheel has to agree with the names of those for glibc.
# The root of the tree is the current directory.
set -eu

venv=$PWD/build/dist/venv
abi=$(sed -n 's/^#define WS_ABI_VERSION \([0-9]*\)$/\1/p' include/wsabi.h)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

main() {
    umask 022
    mkdir -p dist
    hatch sdist
    for target in "${@:-linux-x86_64}"; do
        processor=${target#linux-}
        library=libwsabi.so.$abi
        case $target in
        macos-arm64) platform=macosx_11_0_arm64 library=libwsabi.$abi.dylib ;;
        macos-x86_64) platform=macosx_10_14_x86_64 library=libwsabi.$abi.dylib ;;
        *-musl) platform=musllinux_1_2_${processor%-musl} ;;
        linux-*) platform=manylinux_2_17_$processor.manylinux2014_$processor ;;
        *) echo "wheels.sh: there is no target $target" >&2 && exit 2 ;;
        esac
        WSABI_LIBRARY=$PWD/build/dist/$target/lib/$library WSABI_WHEEL_PLATFORM=$platform hatch wheel
        case $platform in manylinux*) audit ;; esac
    done
    sh packaging/checksums.sh dist
}

# hatch KIND: one file more in dist/.
hatch() {
    # shellcheck disable=SC2016
    (cd bindings/python && "$venv/bin/python" -c 'import sys; from hatchling import build
print("dist/" + getattr(build, "build_" + sys.argv[1])(sys.argv[2]))' "$1" ../../dist)
}

audit() {
    "$venv/bin/auditwheel" show dist/wsabi-*-"$platform.whl" | tr '\n' ' ' >build/dist/auditwheel.log
    grep -q "consistent with the following platform tag: \"manylinux_2_17_$processor\"" build/dist/auditwheel.log ||
        { cat build/dist/auditwheel.log && exit 1; }
}

main "$@"
