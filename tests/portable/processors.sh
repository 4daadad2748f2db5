# shellcheck shell=sh
# The processors that the tests in Rust are run for, and what tells whether their tools are there. Sourced by setup.sh, which installs
# them, and by run.sh.

home=build/portable
# Where packages put them: some still come from before /lib was a link.
# shellcheck disable=SC2034
libraries=$PWD/$home/usr/lib/x86_64-linux-gnu:$PWD/$home/lib/x86_64-linux-gnu

# each_processor COMMAND: with what Debian calls it, what the compilers do, and how a program for it is run.
each_processor() {
    "$1" i386 i686 '/usr/i686-linux-gnu/lib/ld-linux.so.2 --library-path /usr/i686-linux-gnu/lib'
    "$1" arm64 aarch64 'qemu-aarch64 -L /usr/aarch64-linux-gnu'
    "$1" s390x s390x 'qemu-s390x -L /usr/s390x-linux-gnu'
}

has_rust() { [ -e $home/unpacked ]; }

has_tools() { # COMPILER RUNNER...
    mkdir -p $home
    echo 'int main(void) { return 0; }' | "$1" -x c - -o $home/hello || return
    shift
    "$@" $home/hello
} >/dev/null 2>&1
