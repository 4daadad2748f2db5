#!/bin/sh
# Makes build/python/venv with what the generator and the tests need. Idempotent, and quick when nothing is missing.
set -u
cd "$(dirname "$0")/../.." || exit 1
subject=python
. scripts/obtain.sh

wanted=$(requirements tests/python/requirements.txt)
# shellcheck disable=SC2086 # one word for each requirement
need "$wanted" "has_environment build/python/venv $wanted" make_environment build/python/venv $wanted
[ -z "$missing" ]
