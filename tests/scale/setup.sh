#!/bin/sh
# Installs what run.py and cluster_chat want, on Debian 12. Idempotent, and quick when nothing is missing.
# What cannot be had is named; with CI=true that is a failure.
set -u

log=$(mktemp)
trap 'rm -f "$log"' EXIT
missing=

main() {
    need nats-server nats-server
    need nginx nginx-light
    need haproxy haproxy
    need ip iproute2
    need openssl openssl
    if ! has_libnats; then
        install libnats-dev
        has_libnats || missing="$missing libnats-dev"
    fi

    if [ -n "$missing" ]; then
        echo "scale: cannot be had:$missing" >&2
        [ "${CI:-}" != true ]
    else
        echo "scale: all here"
    fi
}

need() { # PROGRAM PACKAGE
    PATH=$PATH:/usr/sbin:/sbin
    command -v "$1" >/dev/null && return
    install "$2"
    command -v "$1" >/dev/null || missing="$missing $2"
}

has_libnats() { echo '#include <nats/nats.h>' | ${CC:-cc} -E - >/dev/null 2>&1; }

# The packages' own servers are not to start: the tests start theirs. The lists of a fresh machine are empty or old,
# and are fetched where the first try fails.
install() {
    echo "scale: installing $1"
    as_root=
    [ "$(id -u)" = 0 ] || as_root='sudo -n'
    {
        $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
            apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1" ||
            { $as_root apt-get -o DPkg::Lock::Timeout=300 update &&
                $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
                    apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$1"; }
    } >"$log" 2>&1 || tail -n 5 "$log" >&2
}

main
