#!/bin/sh
# What `make install` puts somewhere can be built against with pkg-config, and runs.
set -u
cd "$(dirname "$0")/../.."
. tests/c/checks.sh

prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig

cat >"$prefix/program.c" <<'END'
#include <wsabi.h>
#include <stdio.h>

int main(void) {
  ws_conn *client = NULL;
  ws_status_t status = ws_client_new(NULL, "ws://example.com/", &client);
  puts(ws_status_name(status));
  ws_free(client);
  return status != WS_OK;
}
END

# The flags are words: they are split on purpose.
# shellcheck disable=SC2046
builds_and_runs_with_the_shared_library() {
    ${CC:-cc} -Wall -Werror "$prefix/program.c" $(pkg-config --cflags --libs wsabi) -o "$prefix/shared" &&
        readelf -d "$prefix/shared" | grep -F libwsabi.so. &&
        LD_LIBRARY_PATH=$prefix/lib "$prefix/shared"
}

# Without the shared one beside it, a linker takes the archive.
# shellcheck disable=SC2046
builds_and_runs_with_the_static_library() {
    rm "$prefix"/lib/libwsabi.so*
    ${CC:-cc} -Wall -Werror "$prefix/program.c" $(pkg-config --static --cflags --libs wsabi) -o "$prefix/static" &&
        ! readelf -d "$prefix/static" | grep -F libwsabi &&
        "$prefix/static"
}

has_the_version_of_the_crate() {
    pkg-config --modversion wsabi && grep -qx "version = \"$(pkg-config --modversion wsabi)\"" Cargo.toml
}

check it_installs make -s install PREFIX="$prefix"
if have pkg-config pkg-config; then
    check has_the_version_of_the_crate has_the_version_of_the_crate
    check builds_and_runs_with_the_shared_library builds_and_runs_with_the_shared_library
    check builds_and_runs_with_the_static_library builds_and_runs_with_the_static_library
else
    skip "building against the installation: there is no pkg-config"
fi
finish
