#!/bin/sh
# cc.sh TARGET ARGUMENTS...: zig's C compiler for TARGET, a name of zig's, whatever target the arguments name: for the C of
# ring, which calls nothing of a C library, and so may have the headers of another.
target=$1
shift
for argument; do
    shift
    case $argument in
    --target=* | -arch=*) ;;
    *) set -- "$@" "$argument" ;;
    esac
done
exec "${ZIG:-zig}" cc -target "$target" "$@"
