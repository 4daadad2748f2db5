#!/bin/sh
# The README's lines of installation work as they stand there, in a clone of their own and an environment with next to
# nothing in it: for root, for an unprivileged user, and for all users of a machine. And where cargo is told to build
# elsewhere, everything is still found. Nothing is left on this machine: root's /usr/local is another one meanwhile.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$work"' EXIT
chmod 755 "$work"
# Here everything is built already, but a clone of it would not look there without asking.
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
unset MAKEFLAGS CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR # of who calls this
minimal=/usr/bin:/bin
nobody=65534

# The first block of a language in a chapter: as_in CHAPTER LANGUAGE.
as_in() {
    awk -v chapter="## $1" -v fence="\`\`\`$2" '/^## / { here = $0 == chapter } /^```$/ { if (inside) exit }
        inside { print } here && $0 == fence { inside = 1 }' README.md
}
as_in Installation sh >"$work/lines.sh"
as_in 'In C' c >"$work/hello.c"
has_lines() {
    grep '^make install' "$work/lines.sh" && grep '^cc ' "$work/lines.sh" && grep 'int main' "$work/hello.c" &&
        [ -n "$line_for_all_users" ]
}
line_for_all_users=$(grep -o '`cc hello\.c [^`]*` is enough' README.md | cut -d '`' -f 2)

# clone DIRECTORY: what git has of this tree, with the times of its files, by which cargo knows that it has built them.
clone() {
    mkdir -p "$1" && tar -c --exclude-vcs --exclude=./target --exclude=./build --exclude='./*/target' . | tar -x -C "$1" &&
        cp "$work/hello.c" "$1/"
}

# A clone in which `make` has been called: built_clone DIRECTORY.
built_clone() { clone "$1" && mkdir -p "$1/build" && cp -a build/lib "$1/build/"; }

tree() { (cd "$1" && find . | sort); }

says_hello() { [ "$("$@" "$url")" = hello ]; }

# installs_at_home NAME COMMAND...: all lines, by a user that the command makes of us; then hello; then all is taken away.
installs_at_home() {
    home=$work/$1/home clone=$work/$1/clone
    shift
    mkdir -p "$home" && built_clone "$clone" && echo other >"$home/other" && chown -R "$("$@" id -u)" "$home" "$clone" || return
    before=$(tree "$home")
    (
        cd "$clone" && "$@" env -i HOME="$home" PATH=$minimal sh -eux "$work/lines.sh" &&
            says_hello "$@" env -i HOME="$home" PATH=$minimal ./hello &&
            readelf -d hello | grep -F 'libwsabi.so.' && ls "$home/.local/lib/libwsabi.so" &&
            "$@" env -i HOME="$home" PATH=$minimal make uninstall PREFIX="$home/.local"
    ) && [ "$(tree "$home")" = "$before" ]
}

as_unprivileged() { setpriv --reuid=$nobody --regid=$nobody --clear-groups "$@"; }

# A namespace of its own for what is mounted: /usr/local is empty, and the loader's cache in /etc a copy.
installs_for_all_users() {
    built_clone "$work/all" || return
    cat >"$work/all.sh" <<'END'
set -eu
mount -t tmpfs none /usr/local
cp -a /etc "$work/etc" && mount --bind "$work/etc" /etc
mkdir -p /usr/local/lib /usr/local/include
before=$(find /usr/local | sort)
make install
eval "$line"
./hello "$url" | grep -x hello
ldd hello | grep -F /usr/local/lib/libwsabi.so.
make uninstall
[ "$(find /usr/local | sort)" = "$before" ]
! ldd hello | grep -F /usr/local/lib/libwsabi.so.
END
    (cd "$work/all" && unshare --mount env -i PATH=$minimal work="$work" line="$line_for_all_users" url="$url" sh "$work/all.sh")
}

says_what_it_needs() {
    clone "$work/without" && cd "$work/without" &&
        ! env -i PATH=$minimal CARGO=/nowhere/cargo make -s install PREFIX="$work/without/prefix" 2>"$work/said" &&
        grep 'Rust 1\.[0-9]* or newer is needed.* no cargo' "$work/said" && [ ! -e "$work/without/prefix" ] &&
        printf '#!/bin/sh\necho cargo 1.63.0\n[ "$1" = --version ]\n' >old-cargo && chmod +x old-cargo &&
        ! make -s lib CARGO=./old-cargo 2>"$work/said" && grep 'Rust 1\.[0-9]* or newer is needed.* 1\.63\.0' "$work/said"
}

builds_elsewhere() {
    rm -rf build && make -s build/bin/client && [ -f build/lib/libwsabi.a ] && make -s install PREFIX="$PWD/prefix" &&
        [ -f prefix/lib/libwsabi.a ] && sh tests/c/check_abi.sh && [ ! -e target ]
}

builds_where_the_environment_says() {
    clone "$work/elsewhere" && cd "$work/elsewhere" && CARGO_TARGET_DIR=$target && export CARGO_TARGET_DIR && builds_elsewhere
}

builds_where_a_configuration_says() {
    cd "$work/elsewhere" && mkdir -p .cargo && printf '[build]\ntarget-dir = "%s"\n' "$target" >.cargo/config.toml && builds_elsewhere
}

# in_a_place COMMAND: that changes the directory.
in_a_place() { ("$@"); }

: >"$work/server.log"
build/bin/echo_server ws://127.0.0.1:0/ >"$work/server.log" &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    url=$(sed -n 's/^listening on //p' "$work/server.log")
    [ -n "$url" ] && break
    sleep 0.2
done

check 'the README has lines to install by' has_lines
if have pkg-config; then
    if [ "$(id -u)" = 0 ]; then
        check 'they work as root' installs_at_home root env
        check 'they work as an unprivileged user' installs_at_home nobody as_unprivileged
        if unshare --mount true 2>/dev/null; then
            check 'make install as root, without cargo, is for all users' installs_for_all_users
        else
            skip 'make install for all users: no namespace for it can be had'
        fi
    else
        check 'they work as an unprivileged user' installs_at_home user env
        skip 'the installation as root: this is not root'
    fi
else
    skip 'the lines of installation: there is no pkg-config'
fi
check 'without a fitting cargo make says what is needed' in_a_place says_what_it_needs
check 'CARGO_TARGET_DIR is heeded' in_a_place builds_where_the_environment_says
check 'and so is build.target-dir' in_a_place builds_where_a_configuration_says
finish
