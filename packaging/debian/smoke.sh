#!/bin/sh
# The program in C of the README is built with what has just been built, and says that nobody listens.
set -eu
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >build/hello.c
cc -Wall -Werror -Iinclude build/hello.c -o build/hello -Lbuild/lib -lwsabi
! LD_LIBRARY_PATH=build/lib build/hello ws://127.0.0.1:1/ 2>build/said
grep '^WS_ERR_IO: .*refused' build/said
