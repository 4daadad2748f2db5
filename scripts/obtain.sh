# shellcheck shell=sh
# What the setup scripts share: how a tool is obtained from Debian or from PyPI where it is missing, and how what cannot be
# had is named. Sourced by them alone, with `subject` set: what runs a test installs nothing.

# What is said comes from it.
: "${subject:?}"
missing=
obtain_log=$(mktemp)
trap 'rm -f "$obtain_log"' EXIT
PATH=$PATH:/usr/sbin:/sbin

# need NAME TEST INSTALL...: TEST, words, says whether it is there.
need() {
    need_name=$1 need_test=$2
    shift 2
    $need_test && return
    echo "$subject: installing $need_name"
    "$@" >"$obtain_log" 2>&1 && $need_test && return
    tail -n 5 "$obtain_log" >&2
    missing="${missing:+$missing, }$need_name"
}

# The end of a setup script: its status. With CI=true, what cannot be had is a failure.
all_is_here() {
    if [ -n "$missing" ]; then
        echo "$subject: cannot be had: $missing" >&2
        [ "${CI:-}" != true ]
    else
        echo "$subject: all here"
    fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# includes HEADER [COMPILER]
includes() { echo "#include <$1>" | ${2:-${CC:-cc}} -E - >/dev/null 2>&1; }

# The package lists of a fresh machine are empty or old: they are fetched where the first try fails.
apt_install() {
    apt install "$@" || { apt update && apt install "$@"; }
}

# Servers that come with a package are not to start: the tests start theirs.
apt() {
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# A virtual environment with these requirements, which its file installed.txt names.
has_environment() { # DIRECTORY REQUIREMENT...
    environment=$1
    shift
    [ "$(cat "$environment/installed.txt" 2>/dev/null)" = "$*" ]
}

make_environment() { # DIRECTORY REQUIREMENT...
    environment=$1
    shift
    python3 -c 'import ensurepip' 2>/dev/null || apt_install python3-venv || return
    mkdir -p "$(dirname "$environment")" && python3 -m venv --clear "$environment" &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check "$@" && echo "$*" >"$environment/installed.txt"
}

# The lines of a file of requirements, as words.
requirements() { grep -v '^#' "$1" | tr '\n' ' '; }
