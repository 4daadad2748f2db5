#!/bin/sh
# Installs what run.sh checks with. Idempotent, and quick when nothing is missing. What cannot be had is named; with CI=true
# that is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=lint
. scripts/obtain.sh

need gcc 'has gcc' apt_install gcc libc6-dev
need g++ 'has g++' apt_install g++
need clang 'has clang++' apt_install clang
need shellcheck 'has shellcheck' apt_install shellcheck
sh tests/python/setup.sh || missing="${missing:+$missing, }mypy"
all_is_here
