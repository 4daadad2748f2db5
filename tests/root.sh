#!/bin/sh
# Debian roots for tests, so that nothing is installed in the system that runs them.
#
#   tests/root.sh make NAME            makes the root NAME, if there is none, and prints its path
#   tests/root.sh path NAME            prints the path of a root that has been made; fails where there is none
#   tests/root.sh run NAME COMMAND...  runs a command in it, in this clone, which is /wsabi there; build/root-NAME is /output
#
# tests/roots/NAME lists the packages: the first line is the suite. A root lies in ${WSABI_CACHE:-~/.cache/wsabi}/HASH,
# by the hash of that list, so that all clones share it, and a changed list makes another one. It is made from nothing with
# debootstrap, beside its place, and renamed. A command has its own mounts and processes, which end with it. Needs root,
# and a mirror of Debian that apt knows.
set -eu
cd "$(dirname "$0")/.."

free_needed=9 # GiB, while the largest of them is made

main() {
    [ $# -ge 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2 && exit 2; }
    action=$1 name=$2
    shift 2
    list=tests/roots/$name
    cache=${WSABI_CACHE:-$HOME/.cache/wsabi}
    root=$cache/$(grep -v '^#' "$list" | sha256sum | cut -c 1-16)
    case $action in
    make) [ -e "$root" ] || make_root; echo "$root" ;;
    path) [ -e "$root" ] && echo "$root" ;;
    run) run_in_root "$@" ;;
    esac
}

make_root() {
    mkdir -p "$cache"
    free=$(df -Pk "$cache" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free" -ge $free_needed ] ||
        { echo "root: $cache has $free GiB free, $free_needed are needed" >&2 && exit 1; }
    new=$(mktemp -d "$root.XXXXXX")
    chmod 755 "$new"
    trap 'as_root rm -rf "$new"' EXIT
    echo "root: making $name in $root" >&2
    if fill "$new" >"$new.log" 2>&1; then
        as_root mv -T "$new" "$root"
        rm -f "$new.log"
    else
        tail -n 20 "$new.log" >&2
        echo "root: $name cannot be made: see $new.log" >&2
        exit 1
    fi
    trap - EXIT
}

# Two steps: debootstrap knows no dependencies of versions, apt does. What fails ends it: `set -e` is off within an `if`.
fill() {
    suite=$(grep -v '^#' "$list" | head -n 1)
    packages=$(grep -v '^#' "$list" | tail -n +2)
    mirrors=$(apt-get indextargets 'Created-By: Packages' --format '$(REPO_URI)' | sort -u)
    mirror=$(echo "$mirrors" | grep '/debian/$' | head -n 1)
    mirror=${mirror:-http://deb.debian.org/debian/}
    as_root env DEBOOTSTRAP_DIR="$(debootstrap_home)/usr/share/debootstrap" \
        sh "$(debootstrap_home)/usr/sbin/debootstrap" --variant=minbase "$suite" "$1" "$mirror" || return
    {
        echo "deb $mirror $suite main"
        echo "deb $mirror $suite-updates main"
        echo "$mirrors" | sed -n "s|^\(.*/debian-security/\)\$|deb \1 $suite-security main|p"
    } | as_root tee "$1/etc/apt/sources.list" >&2
    [ "$suite" != sid ] || echo "deb $mirror $suite main" | as_root tee "$1/etc/apt/sources.list" >&2
    as_root tee "$1/usr/sbin/policy-rc.d" <<'NEVER' && as_root chmod 755 "$1/usr/sbin/policy-rc.d"
#!/bin/sh
exit 101
NEVER
    # The packages are words, on lines.
    # shellcheck disable=SC2086
    in_root "$1" sh -c 'apt-get -q update && exec apt-get -q -y --no-install-recommends -o DPkg::Options::=--force-unsafe-io install "$@"' sh $packages ||
        return
    in_root "$1" apt-get clean
    as_root mkdir -p "$1/wsabi" "$1/output" "$1/cargo"
}

# debootstrap is a script: it need not be installed.
debootstrap_home() {
    if command -v debootstrap >/dev/null; then
        return
    fi
    if [ ! -e "$cache/debootstrap/usr/sbin/debootstrap" ]; then
        (
            mkdir -p "$cache/debootstrap" && cd "$cache/debootstrap" &&
                { apt-get -q download debootstrap || { as_root apt-get -q update && apt-get -q download debootstrap; }; } &&
                dpkg -x debootstrap_*.deb . && rm -f debootstrap_*.deb
        ) >&2
    fi
    echo "$cache/debootstrap"
}

run_in_root() {
    [ -e "$root" ] || { echo "root: there is no root $name: make setup-$name" >&2 && exit 1; }
    mkdir -p "build/root-$name" "${CARGO_HOME:-$HOME/.cargo}"
    in_root "$root" env --chdir=/wsabi HOME=/output CARGO_HOME=/cargo CARGO_TARGET_DIR=/output/target "$@"
}

# in_root ROOT COMMAND...: with mounts and processes of its own. The network is the system's.
in_root() {
    as_root env CLONE="$PWD" OUTPUT="$PWD/build/root-$name" CRATES="${CARGO_HOME:-$HOME/.cargo}" \
        LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        unshare --mount --pid --fork --kill-child sh -c '
            root=$1 && shift &&
                mount --make-rprivate / && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit
            cat /etc/resolv.conf >"$root/etc/resolv.conf" && cat /etc/hosts >"$root/etc/hosts"
            # Once it is made: what this system trusts, the root does, but what is installed in it must not write there.
            if [ -e "$root/wsabi" ]; then
                mkdir -p "$root/etc/ssl/certs" && mount --bind -o ro /etc/ssl/certs "$root/etc/ssl/certs" || exit
                mount --bind "$CLONE" "$root/wsabi" && mount --bind "$OUTPUT" "$root/output" &&
                    mount --bind "$CRATES" "$root/cargo" || exit
            fi
            chroot "$root" env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
        ' sh "$@"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

main "$@"
