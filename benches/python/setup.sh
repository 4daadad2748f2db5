#!/bin/sh
# Makes build/bench/python-venv with the peers of run.py, and the load generator. Idempotent, and quick when nothing is missing.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=bench
. scripts/obtain.sh

wanted='websockets==17.4 picows==2.3.1 uvloop==0.23.0'
sh benches/tcp/setup.sh --quick || exit
# shellcheck disable=SC2086 # one word for each requirement
need "$wanted" "has_environment build/bench/python-venv $wanted" make_environment build/bench/python-venv $wanted
[ -z "$missing" ]
