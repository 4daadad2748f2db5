#!/bin/sh
# Installs the peers that run.py and transports.py talk to. Idempotent, and quick when nothing is missing.
# A peer that cannot be had is named; with CI=true that is a failure.
set -u
PATH=$PATH:/usr/sbin # nginx and haproxy
cd "$(dirname "$0")/../.." || exit 1

WEBSOCKETS=17.4 # PyPI
WS=8.23.0       # npm
home=build/peers
missing=

main() {
    mkdir -p $home
    peer "libwebsockets" has_libwebsockets apt_install libwebsockets-test-server
    peer "chromium" has_chromium apt_install chromium-headless-shell
    peer "openssl" has_openssl apt_install openssl
    peer "nginx" has_nginx apt_install nginx-light
    peer "haproxy" has_haproxy apt_install haproxy
    peer "tinyproxy" has_tinyproxy apt_install tinyproxy-bin
    peer "microsocks" has_microsocks apt_install microsocks
    peer "ws $WS" has_ws install_ws
    peer "websockets $WEBSOCKETS" has_websockets install_websockets

    if [ -n "$missing" ]; then
        echo "peers: cannot be had: $missing" >&2
        [ "${CI:-}" != true ]
    else
        echo "peers: all here"
    fi
}

peer() { # NAME TEST INSTALL...
    name=$1 present=$2
    shift 2
    $present && return
    echo "peers: installing $name"
    "$@" >$home/setup.log 2>&1 && $present && return
    tail -n 5 $home/setup.log >&2
    missing="${missing:+$missing, }$name"
}

has_libwebsockets() { command -v libwebsockets-test-server && command -v libwebsockets-test-client; } >/dev/null
has_chromium() { command -v chromium-headless-shell; } >/dev/null
has_openssl() { command -v openssl; } >/dev/null
has_nginx() { command -v nginx; } >/dev/null
has_haproxy() { command -v haproxy; } >/dev/null
has_tinyproxy() { command -v tinyproxy; } >/dev/null
has_microsocks() { command -v microsocks; } >/dev/null
has_ws() { grep -qs "\"version\": \"$WS\"" $home/node/node_modules/ws/package.json && command -v node >/dev/null; }
has_websockets() { [ "$($home/venv/bin/websockets --version 2>/dev/null)" = "websockets $WEBSOCKETS" ]; }

install_ws() {
    command -v node || apt_install nodejs || return
    command -v npm || apt_install npm || return
    npm install --prefix $home/node --no-package-lock --no-audit --no-fund "ws@$WS"
}

install_websockets() {
    python3 -c 'import ensurepip' || apt_install python3-venv || return
    python3 -m venv --clear $home/venv &&
        $home/venv/bin/pip install --disable-pip-version-check "websockets==$WEBSOCKETS"
}

apt_install() { # the package lists of a fresh machine are empty or old: fetched where the first try fails
    apt install -y --no-install-recommends "$@" || { apt update && apt install -y --no-install-recommends "$@"; }
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

main
