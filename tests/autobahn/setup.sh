#!/bin/sh
# Makes the Autobahn TestSuite's environment in build/autobahn/, and does nothing when it is there already.
# The result is one launcher, build/autobahn/wstest.
#
# The suite runs on Python 2.7 only, which Debian 12 no longer has. It comes from pyenv where that has a 2.7.18, else
# from the packages of Debian 11, unpacked privately. WSABI_AUTOBAHN_PYTHON=pyenv or =bullseye forces one of the two.
set -eu

suite=autobahntestsuite==25.10.1
virtualenv=virtualenv==20.15.1 # the last that makes Python 2.7 environments

repo=$(cd "$(dirname "$0")/../.." && pwd)
subject=autobahn
. "$repo/scripts/obtain.sh"
dir=$repo/build/autobahn
pyenv_python=${PYENV_ROOT:-$HOME/.pyenv}/versions/2.7.18/bin/python2.7
debian_root=$dir/debian11/root
debian_libs=

main() {
    source=$(choose_python)
    stamp="$source $suite $virtualenv $dir"
    if [ -x "$dir/wstest" ] && [ "$(cat "$dir/stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi

    mkdir -p "$dir"
    rm -rf "$dir/stamp" "$dir/wstest" "$dir/tools" "$dir/python" "$dir/debian11"
    install_prerequisites
    case $source in
        pyenv) python=$pyenv_python ;;
        bullseye)
            unpack_debian_python
            python=$debian_root/usr/bin/python2.7
            ;;
    esac
    make_environment "$python"
    write_launcher
    echo "$stamp" >"$dir/stamp"
}

choose_python() {
    case ${WSABI_AUTOBAHN_PYTHON:-} in
        pyenv | bullseye) echo "$WSABI_AUTOBAHN_PYTHON" ;;
        '') if [ -x "$pyenv_python" ]; then echo pyenv; else echo bullseye; fi ;;
        *) echo "WSABI_AUTOBAHN_PYTHON is neither pyenv nor bullseye" >&2 && return 1 ;;
    esac
}

# A compiler for the suite's C parts, and a Python 3 that can make the virtual environment of virtualenv itself.
install_prerequisites() {
    if ! command -v cc >/dev/null || ! python3 -c 'import venv, ensurepip'; then
        apt_install gcc libc6-dev python3-venv
    fi
}

# Nothing here touches the machine's own apt: lists, cache and sources are private, and only unpacked.
unpack_debian_python() {
    mirror=$(debian_mirror)
    mkdir -p "$dir/debian11/lists/partial" "$dir/debian11/cache/archives/partial" "$debian_root"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" \
        >"$dir/debian11/sources.list"

    private_apt update
    # The interpreter and its headers, and the two libraries that Debian 12 has only in newer versions.
    (cd "$dir/debian11" && private_apt download python2.7-minimal libpython2.7-minimal libpython2.7-stdlib \
        libpython2.7-dev libffi7 libssl1.1)
    for package in "$dir"/debian11/*.deb; do
        dpkg-deb -x "$package" "$debian_root"
    done

    debian_libs=$(dirname "$(find "$debian_root" -name libffi.so.7)")
    # Debian's Python looks for its headers in /usr/include, wherever it lies itself.
    export CPATH="$debian_root/usr/include:$debian_root/usr/include/python2.7"
    export LD_LIBRARY_PATH="$debian_libs"
}

# Where this machine gets its own Debian from, whichever way its sources are written.
debian_mirror() {
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/$release/InRelease'.*|\1|p" | grep -m 1 .
}

private_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$dir/debian11/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$dir/debian11/lists" -o Dir::Cache="$dir/debian11/cache" \
        -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Sandbox::User=root "$@"
}

make_environment() {
    python3 -m venv "$dir/tools"
    "$dir/tools/bin/pip" install --quiet "$virtualenv"
    "$dir/tools/bin/virtualenv" --quiet --python "$1" "$dir/python"
    # The suite alone: naming autobahn here as well would drop the extra that brings its masking in C.
    "$dir/python/bin/pip" install --quiet --no-python-version-warning "$suite"
    "$dir/python/bin/python" -c 'import wsaccel.xormask'
}

write_launcher() {
    cat >"$dir/wstest" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH='$debian_libs'
exec '$dir/python/bin/wstest' "\$@"
EOF
    chmod +x "$dir/wstest"
    "$dir/wstest" --autobahnversion
}

main
