#!/bin/sh
# Installs the peers that run.py and transports.py talk to. Idempotent, and quick when nothing is missing.
# A peer that cannot be had is named; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=peers
. scripts/obtain.sh

WEBSOCKETS=17.4 # PyPI
WS=8.23.0       # npm
home=build/peers

has_libwebsockets() { has libwebsockets-test-server && has libwebsockets-test-client; }
has_ws() { grep -qs "\"version\": \"$WS\"" $home/node/node_modules/ws/package.json && has node; }

install_ws() {
    has node || apt_install nodejs || return
    has npm || apt_install npm || return
    npm install --prefix $home/node --no-package-lock --no-audit --no-fund "ws@$WS"
}

mkdir -p $home
need libwebsockets has_libwebsockets apt_install libwebsockets-test-server
need chromium 'has chromium-headless-shell' apt_install chromium-headless-shell
need openssl 'has openssl' apt_install openssl
need nginx 'has nginx' apt_install nginx-light
need haproxy 'has haproxy' apt_install haproxy
need tinyproxy 'has tinyproxy' apt_install tinyproxy-bin
need microsocks 'has microsocks' apt_install microsocks
need "ws $WS" has_ws install_ws
need "websockets $WEBSOCKETS" "has_environment $home/venv websockets==$WEBSOCKETS" \
    make_environment $home/venv "websockets==$WEBSOCKETS"
all_is_here
