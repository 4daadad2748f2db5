#!/bin/sh
# Quick checks of all example programs: they compile without warnings, by the line at their top too, do what they say,
# and leave no memory behind. Build them first: `make examples`. CC and BIN choose a compiler and another directory.
set -u
cd "$(dirname "$0")/.." || exit 1
bin=${BIN:-build/bin}
lib=${LIB:-build/lib}

passed=0
failed=0
checker=  # what the programs run under: nothing, or valgrind
label=
options=  # of each client
server=
refuser=
work=$(mktemp -d)

finish() {
    for process in $server $refuser; do
        kill "$process" 2>/dev/null
    done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# check NAME COMMAND...: the command is to succeed. What it said is shown only where it does not.
check() {
    name=$1$label
    shift
    if "$@" >"$work/log" 2>&1; then
        passed=$((passed + 1))
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        sed 's/^/        /' "$work/log" | head -40
    fi
}

have() { command -v "$1" >/dev/null 2>&1; }

# A program that hangs fails its check.
run() { if have timeout; then timeout 60 "$@"; else "$@"; fi; }

# program NAME ARGUMENT...: runs an example, under the checker.
program() {
    path=$bin/$1
    shift
    run $checker "$path" "$@"
}

# The options of the moment first.
client() { program client --wait 20 $options "$@"; }

# ends_with STATUS COMMAND...
ends_with() {
    expected=$1
    shift
    "$@"
    status=$?
    test $status -eq "$expected" || { echo "status $status, not $expected"; return 1; }
}

# wait_for PATTERN FILE
wait_for() {
    tries=0
    until grep -q "$1" "$2"; do
        tries=$((tries + 1))
        test $tries -lt 200 || return 1
        sleep 0.1
    done
}

# Compiling

sources=$(echo examples-c/*.c)
flags='-std=c99 -Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -Iinclude -fsyntax-only'

own_line() {
    line=$(sed -n 's/^ \*  *\(cc .*\) -o .*/\1/p' "$1")
    test -n "$line" && sh -c "$line -L'$lib' -o '$work/program'"
}

for source in $sources; do
    if grep -q 'nats/nats.h' "$source" && ! echo '#include <nats/nats.h>' | cc -E - >/dev/null 2>&1; then
        echo "skipped $source: libnats-dev is not installed"
        test "${CI:-}" != true || failed=$((failed + 1))
        continue
    fi
    check "$source builds by its own line" own_line "$source"
    for compiler in gcc clang; do
        if have $compiler; then
            check "$source, $compiler -Wconversion" $compiler $flags -Wconversion "$source"
        fi
    done
done

# Running

# start_server ARGUMENT...
start_server() {
    : >"$work/server"
    # Straight from this shell, so that its process is the one to be stopped and waited for.
    $checker "$bin/echo_server" "$@" >"$work/server" 2>"$work/server_log" &
    server=$!
    wait_for '^listening on ' "$work/server" || { cat "$work/server_log"; return 1; }
    url=$(sed -n 's/^listening on //p' "$work/server")
}

# The sender is among all.
broadcast() {
    : >"$work/server"
    $checker "$bin/broadcast_server" ws://127.0.0.1:0/ >"$work/server" 2>"$work/server_log" &
    server=$!
    wait_for '^listening on ' "$work/server" || return 1
    url=$(sed -n 's/^listening on //p' "$work/server")
    client --count 2 "$url" <"$work/server" >"$work/a" &
    other=$!
    sleep 0.5
    echo b | client --count 1 "$url" >"$work/b" && wait $other && grep -q b "$work/a" && stop_server
}

stop_server() {
    kill "$server"
    wait "$server"
    status=$?
    server=
    test $status -eq 0 || { cat "$work/server_log"; echo "status $status"; return 1; }
}

lines() {
    printf 'one\n\nzwölf 🦀\n' >"$work/in"
    client --count 3 "$url" <"$work/in" >"$work/out" && cmp "$work/in" "$work/out"
}

last_line_without_end() {
    printf 'one\ntwo' | client --count 2 "$url" >"$work/out" && printf 'one\ntwo\n' | cmp - "$work/out"
}

# As many as fill the send queues on both sides.
many_lines() {
    awk 'BEGIN { for (i = 0; i < 20000; i++) print "line", i }' >"$work/in"
    client --count 20000 "$url" <"$work/in" >"$work/out" && cmp "$work/in" "$work/out"
}

binary() {
    dd if=/dev/urandom of="$work/in" bs=65536 count=48 2>/dev/null
    client --count 1 --file "$work/in" --output "$work/out" "$url" && cmp "$work/in" "$work/out"
}

summary() {
    printf 'wsabi\000' >"$work/in"
    client --count 1 --file "$work/in" "$url" >"$work/out" &&
        echo 'binary, 6 bytes: 77 73 61 62 69 00 |wsabi.|' | cmp - "$work/out"
}

text_file() {
    awk 'BEGIN { for (i = 0; i < 20000; i++) print "中🦀 x" }' >"$work/in"
    client --count 1 --text --file "$work/in" "$url" >"$work/out" && { cat "$work/in"; echo; } | cmp - "$work/out"
}

empty_file() {
    : >"$work/in"
    client --count 1 --file "$work/in" "$url" >"$work/out" && echo 'binary, 0 bytes: ||' | cmp - "$work/out"
}

ping() {
    echo | client --count 1 --ping "$url" 2>"$work/told" >/dev/null && grep '^pong after ' "$work/told"
}

close_code() {
    program client -v --wait 0 --close '4001:enough' "$url" </dev/null 2>"$work/told" && grep '^closed: 4001' "$work/told"
}

too_few() {
    echo one | program client --count 2 --wait 0.3 "$url" >/dev/null
}

not_utf8() {
    printf '\377\n' | client "$url" 2>"$work/told"
}

two_at_once() {
    echo a | client --count 1 "$url" >"$work/a" &
    other=$!
    echo b | client --count 1 "$url" >"$work/b" && wait $other && test "$(cat "$work/a" "$work/b")" = 'a
b'
}

game() {
    # The first frames may still be waiting for the handshake.
    program game_loop "$url" 30 >"$work/out" && awk '$3 < 25 || $3 != $6 { exit 1 }' "$work/out"
}

refused() {
    client -v "ws://127.0.0.1:$refuser_port/nowhere" </dev/null 2>"$work/told"
    status=$?
    cat "$work/told"
    test $status -eq 3 && grep -q 'status 404' "$work/told" && grep -qi '^< server: ' "$work/told" &&
        grep -q 'File not found' "$work/told"
}

# with_tls COMMAND: under memcheck, what the assembly of ring has decrypted counts as undefined, and is not.
with_tls() {
    saved=$checker
    checker=${checker:+$checker --undef-value-errors=no}
    "$@"
    checker=$saved
}

# certificate NAME: one that signed itself, for localhost.
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj "/CN=$1" \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$work/$1.key" -out "$work/$1.pem"
}

# fails_with STATUS WORDS ARGUMENT...: what a client says that cannot connect.
fails_with() {
    expected=$1 words=$2
    shift 2
    client "$@" </dev/null 2>"$work/told"
    status=$?
    cat "$work/told"
    test $status -eq "$expected" && grep -q "$words" "$work/told"
}

tls() {
    cert="--cert $work/server.pem --key $work/server.key"
    check 'echo_server starts at wss' start_server wss://127.0.0.1:0/ $cert
    check 'echo_server tells its wss URL' grep '^listening on wss://127.0.0.1:[1-9][0-9]*/$' "$work/server"
    options=--insecure
    check 'client: --insecure' lines
    options="--cacert $work/server.pem"
    check 'client: --cacert' lines
    check 'client: a file of 3 MiB over TLS' binary
    options=
    check 'client: a certificate that is not trusted' fails_with 1 'self-signed' "$url"
    check 'client: roots that are none' fails_with 2 'the PEM contains no certificate' --cacert "$work/server.key" "$url"
    check 'client: roots that are not there' fails_with 2 'cannot be read' --cacert "$work/nowhere" "$url"
    check 'client: a certificate without its key' fails_with 2 'needs the other' --cert "$work/server.pem" "$url"
    check 'client: a key that does not match' fails_with 2 'does not match the certificate' --cert "$work/server.pem" --key "$work/client.key" "$url"
    check 'echo_server ends with status 0' stop_server

    check 'echo_server asks for certificates' start_server wss://127.0.0.1:0/ $cert --client-ca "$work/client.pem"
    options="--cacert $work/server.pem --cert $work/client.pem --key $work/client.key"
    check 'client: shows its certificate' lines
    options="--cacert $work/server.pem"
    check 'client: has none' fails_with 1 'must present a certificate' "$url"
    options=
    check 'echo_server ends with status 0' stop_server
    check 'echo_server: wss without a certificate' ends_with 1 program echo_server wss://127.0.0.1:0/
    check 'echo_server: a certificate without its key' ends_with 2 program echo_server --cert "$work/server.pem"
}

unix_socket() {
    check 'echo_server starts at a Unix socket' start_server "ws+unix://$work/socket:/"
    check 'echo_server tells its path' grep -F "listening on ws+unix://$work/socket:/" "$work/server"
    check 'client: lines of text over a Unix socket' lines
    check 'client: a file of 3 MiB over a Unix socket' binary
    check 'echo_server ends with status 0' stop_server
    check 'the socket is gone' test ! -e "$work/socket"
    check 'client: nobody at the Unix socket' fails_with 1 'No such file' "$url"
}

# The server is no proxy, and says so.
proxies() {
    proxy=http://me:s3cret@${url#ws://}
    check 'client: --proxy that is none' fails_with 1 'the proxy refused the connection with HTTP status' --proxy "$proxy" "$url"
    check 'client: --proxy of no use' fails_with 2 'not the URL of a proxy' --proxy ftp://me:s3cret@host "$url"
    check 'client: no password is told' grep -vq s3cret "$work/told"
    export http_proxy="$proxy"
    check 'client: the environment is not looked at unasked' lines
    check 'client: --proxy-from-env' fails_with 1 'the proxy refused' --proxy-from-env "$url"
    export http_proxy=ftp://host
    check 'client: --proxy-from-env of no use' fails_with 1 'http_proxy names no usable proxy' --proxy-from-env "$url"
    unset http_proxy
}

all() {
    check 'echo_server starts' start_server ws://127.0.0.1:0/
    check 'client: lines of text' lines
    check 'client: a last line without its end' last_line_without_end
    check 'client: 20000 lines' many_lines
    check 'client: a file of 3 MiB' binary
    check 'client: a binary message summed up' summary
    check 'client: a file as text' text_file
    check 'client: an empty file' empty_file
    check 'client: a line that is not UTF-8' ends_with 2 not_utf8
    check 'client: ping' ping
    check 'client: close code' close_code
    check 'client: fewer messages than --count' ends_with 4 too_few
    check 'client: --header and --subprotocol' client --header 'X-Seat: 7' --subprotocol chat --count 0 "$url"
    check 'client: no header' ends_with 2 client --header 'X-Seat' "$url"
    check 'two clients at once' two_at_once
    check 'game_loop' game
    proxies
    check 'echo_server: a port that is taken' ends_with 1 program echo_server "$url"
    check 'echo_server ends with status 0' stop_server
    check 'broadcast_server' broadcast
    check 'client: nobody listens' ends_with 1 client "$url"
    check 'game_loop: nobody listens' ends_with 1 program game_loop "$url" 30
    check 'client: no such scheme' ends_with 2 client http://127.0.0.1/
    check 'client: no URL' ends_with 2 client
    check 'client: --help' client --help
    if have openssl; then
        with_tls tls
    fi
    unix_socket
    if [ -n "$refuser" ]; then
        check 'client: refused with 404' refused
    fi
    check 'callbacks' program callbacks
    check 'memory_pair' program memory_pair
    check 'compression' program compression
    check 'compression: no takeover' program compression 'client_no_context_takeover; level=6'
    check 'compression: bad parameters' ends_with 1 program compression 'client_max_window_bits=7'
}

# Some server that knows no WebSocket.
if have python3; then
    mkdir "$work/empty"
    python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$work/empty" >"$work/refuser" 2>/dev/null &
    refuser=$!
    wait_for ' port ' "$work/refuser"
    refuser_port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$work/refuser")
fi

if have openssl; then
    check 'a certificate for the server' certificate server
    check 'a certificate for the client' certificate client
else
    echo 'skipped TLS: there is no openssl'
fi
all
if have valgrind; then
    checker='valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,indirect,possible'
    label=', under valgrind'
    all
else
    echo 'skipped valgrind, which is not installed'
fi

echo "$passed passed, $failed failed"
test $failed -eq 0
