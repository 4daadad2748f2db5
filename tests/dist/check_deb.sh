#!/bin/sh
# The Debian packages: built in the root `debian`, where lintian finds no error; installed in a copy of the root
# `debian-fresh`, which knows nothing of wsabi, where a program in C and one in Python use them; and taken away.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/dist
mkdir -p $scratch

fresh=build/dist/fresh

main() {
    check builds_and_lintian_finds_no_error sh packaging/deb.sh build || finish
    check the_packages_are_there they_are_there
    check they_install_in_a_fresh_debian install_in_a_copy || finish
    check a_c_and_a_python_program_use_them in_the_copy sh /packages/hello
    check the_loader_finds_the_library in_the_copy sh -c 'ldconfig -p | grep libwsabi.so.1'
    check they_are_removed in_the_copy sh -c 'dpkg --purge libwsabi-dev python3-wsabi libwsabi1 && ! find / -xdev -name "*wsabi*" ! -path "/packages*" ! -path "/var/log/*" ! -path /wsabi | grep .'
    rm -rf $fresh
    finish
}

they_are_there() { [ "$(cd build/deb && echo *.deb | sed 's/_[^ ]*//g')" = 'libwsabi-dev libwsabi1-dbgsym libwsabi1 python3-wsabi' ]; }

install_in_a_copy() {
    root=$(sh tests/root.sh path debian-fresh) || return
    rm -rf $fresh && cp -a "$root" $fresh && mkdir $fresh/packages &&
        cp build/deb/libwsabi1_*.deb build/deb/libwsabi-dev_*.deb build/deb/python3-wsabi_*.deb packaging/debian/tests/hello $fresh/packages/ &&
        in_the_copy sh -c 'dpkg --install /packages/*.deb'
}

in_the_copy() {
    unshare --mount --pid --net --fork --kill-child sh -c 'root=$1 && shift && mount --make-rprivate / && mount -t proc proc "$root/proc" &&
        mount --rbind /dev "$root/dev" && { ip link set lo up || :; } &&
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"' sh $fresh "$@"
}

main
