#!/bin/sh
# Makes build/dist/venv with what packages are built and tested with. Idempotent, and quick when nothing is missing.
set -eu
cd "$(dirname "$0")/.."
home=build/dist/venv
wanted=packaging/dist-requirements.txt

cmp -s "$wanted" "$home/installed.txt" && exit
echo "dist: installing $(sed -n 's/^\([a-z-]*\)==.*/\1/p' "$wanted" | tr '\n' ' ')"
python3 -c 'import ensurepip' 2>/dev/null || {
    packages='python3-venv'
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages ||
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages; }
} >/dev/null
mkdir -p build/dist
python3 -m venv "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
cp "$wanted" "$home/installed.txt"
