#!/bin/sh
# Makes build/bench/python-venv with the peers of run.py, and the load generator. Idempotent, and quick when nothing is missing.
set -eu
cd "$(dirname "$0")/../.."
wanted="websockets==17.4 picows==2.3.1 uvloop==0.23.0"
home=build/bench/python-venv

sh benches/tcp/setup.sh --quick
[ "$(cat $home/installed.txt 2>/dev/null)" = "$wanted" ] && exit
python3 -c 'import ensurepip' 2>/dev/null || {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv ||
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv; }
} >/dev/null
python3 -m venv --clear $home
# shellcheck disable=SC2086 # one word for each package
$home/bin/pip install --quiet --disable-pip-version-check $wanted
echo "$wanted" >$home/installed.txt
