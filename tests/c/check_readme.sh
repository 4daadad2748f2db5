#!/bin/sh
# What the README says is so: its program in C is compiled as it stands there and talks to the echo server, and its table
# has the statuses of the header. Ends with one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh

awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >$scratch/hello.c
check 'it is there' grep -q 'int main' $scratch/hello.c
check 'it compiles without a warning' ${CC:-cc} -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude $scratch/hello.c \
    -o $scratch/hello -Lbuild/lib -Wl,-rpath,"$PWD/build/lib" -lwsabi

: >$scratch/server.log # an earlier run wrote here, too, and the server empties it only once it has been started
build/bin/echo_server ws://127.0.0.1:0/ >$scratch/server.log &
server=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
    url=$(sed -n 's/^listening on //p' $scratch/server.log)
    [ -n "$url" ] && break
    sleep 0.2
done
says_hello() { [ "$($scratch/hello "$url")" = hello ]; }
check 'it says hello to the echo server' says_hello
kill $server
wait $server
statuses_in() { sed -n "s/$2/\\1 \\2/p" "$1" | sort; }
the_table_is_the_headers() {
    statuses_in include/wsabi.h '^ *\(WS_OK\|WS_ERR_[A-Z0-9_]*\) = \(-*[0-9]*\),$' >$scratch/header.txt
    statuses_in README.md '^| `\(WS_[A-Z0-9_]*\)` | \(-*[0-9]*\) |.*' >$scratch/table.txt
    [ -s $scratch/header.txt ] && diff $scratch/header.txt $scratch/table.txt
}
check 'its table has the statuses of the header' the_table_is_the_headers
fails_in_words() { ! $scratch/hello ws://127.0.0.1:1/ 2>$scratch/words && grep -q '^WS_ERR_IO: .*refused' $scratch/words; }
check 'it says what is wrong where nobody listens' fails_in_words
finish
