#!/bin/sh
# checksums.sh DIRECTORY: writes SHA256SUMS of all files there, and signs it with the private key (PEM) that WSABI_SIGN_KEY
# names. To verify: openssl pkeyutl -verify -rawin -pubin -inkey public.pem -in SHA256SUMS -sigfile SHA256SUMS.sig
set -eu
export LC_ALL=C
cd "$1"

rm -f SHA256SUMS SHA256SUMS.sig
find . -maxdepth 1 -type f ! -name ".*" | sed 's|^\./||' | sort | xargs sha256sum >.SHA256SUMS.new
mv .SHA256SUMS.new SHA256SUMS
if [ -n "${WSABI_SIGN_KEY:-}" ]; then
    openssl pkeyutl -sign -rawin -inkey "$WSABI_SIGN_KEY" -in SHA256SUMS -out SHA256SUMS.sig
    echo "$1/SHA256SUMS is signed: $1/SHA256SUMS.sig"
else
    echo "$1/SHA256SUMS is not signed: WSABI_SIGN_KEY names no key"
fi
