#!/bin/sh
# Installs what run.py and cluster_chat want, on Debian 12. Idempotent, and quick when nothing is missing.
# What cannot be had is named; with CI=true that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=scale
. scripts/obtain.sh

need nats-server 'has nats-server' apt_install nats-server
need nginx 'has nginx' apt_install nginx-light
need haproxy 'has haproxy' apt_install haproxy
need ip 'has ip' apt_install iproute2
need openssl 'has openssl' apt_install openssl
need libnats-dev 'includes nats/nats.h' apt_install libnats-dev
all_is_here
