#!/bin/sh
# Shows a server and clients at work over TCP, TLS and a Unix socket, and the other ways of using the library. `make
# demo` builds and runs it.
set -eu
cd "$(dirname "$0")/.."
bin=${BIN:-build/bin}

number=0
story='the start'
server=
work=$(mktemp -d)

finish() {
    status=$?
    trap - EXIT
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || :
    fi
    rm -rf "$work"
    if [ $status -ne 0 ]; then
        echo "demo: step $number failed: $story"
        exit 1
    fi
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

step() {
    number=$((number + 1))
    story=$1
    printf '\n%d. %s\n' "$number" "$story"
}

# A program that hangs fails its step.
run() {
    if command -v timeout >/dev/null; then timeout 20 "$@"; else "$@"; fi
}

client() {
    run "$bin/client" --wait 5 "$@"
}

# Indents what a step has to show.
tell() {
    sed 's/^/   /' "$@"
}

# start_server ARGUMENT...
start_server() {
    "$bin/echo_server" "$@" >"$work/server" &
    server=$!
    tries=0
    until grep -q '^listening on ' "$work/server"; do
        tries=$((tries + 1))
        test $tries -lt 50
        sleep 0.1
    done
    tell "$work/server"
    url=$(sed -n 's/^listening on //p' "$work/server")
}

stop_server() {
    kill "$server"
    wait "$server"
    server=
}

# One that signed itself, for localhost.
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/log" || { cat "$work/log"; return 1; }
}

same() {
    cmp "$1" "$2" && echo "   $(wc -c <"$1" | tr -d ' ') bytes went there and back, and are the same"
}

step 'an echo server starts, on a port that is free'
start_server ws://127.0.0.1:0/

step 'a text is echoed'
echo 'Hello, echo!' >"$work/in"
client --count 1 "$url" <"$work/in" >"$work/out"
tell "$work/out"
cmp "$work/in" "$work/out"

step 'texts of many scripts are echoed, one message a line'
printf '%s\n' 'zażółć gęślą jaźń' 'Σὲ γνωρίζω ἀπὸ τὴν κόψη' '你好，世界' '🦀 🚀 👩‍🚀' >"$work/in"
client --count 4 "$url" <"$work/in" >"$work/out"
tell "$work/out"
cmp "$work/in" "$work/out"

step 'a binary message is echoed, zeros and all'
printf 'GIF89a\000\001\002\377' >"$work/in"
client --count 1 --file "$work/in" "$url" >"$work/sum"
client --count 1 --file "$work/in" --output "$work/out" "$url"
tell "$work/sum"
same "$work/in" "$work/out"

step 'a message of 1 MiB is streamed in fragments of 64 KiB, and echoed'
dd if=/dev/urandom of="$work/in" bs=65536 count=16 2>/dev/null
client --count 1 --file "$work/in" --output "$work/out" "$url"
same "$work/in" "$work/out"

step 'a text is cut into fragments in the middle of its characters, and arrives whole'
awk 'BEGIN { for (i = 0; i < 20000; i++) printf "x中🦀"; print "" }' >"$work/in"
client --count 1 "$url" <"$work/in" >"$work/out"
same "$work/in" "$work/out"

step 'a Ping is answered with its Pong'
client --ping --count 1 -v "$url" <"$work/server" 2>"$work/told" >/dev/null
grep '^pong after ' "$work/told" | tell

step 'a closing handshake carries a code of our own'
client --count 1 --close '4001:that is all' -v "$url" <"$work/server" 2>"$work/told" >/dev/null
grep '^closed: 4001' "$work/told" | tell

step 'a game of 60 frames a second talks to the server and never waits for it'
run "$bin/game_loop" "$url" 90 >"$work/told"
tell "$work/told"

if test -x "$bin/cpp/client"; then
    step 'a client in C++ reads on one thread and writes on another'
    printf '%s\n' 'Hello from C++!' 'zażółć gęślą jaźń' >"$work/in"
    run "$bin/cpp/client" "$url" <"$work/in" >"$work/out"
    tell "$work/out"
    cmp "$work/in" "$work/out"
fi

step 'the server is asked to stop, and does'
stop_server
echo '   it ended with status 0'

step 'where nobody listens any more, a client says so'
status=0
client "$url" </dev/null 2>"$work/told" || status=$?
tell "$work/told"
test $status -eq 1
grep -q 'refused' "$work/told"

step 'a server with a certificate is talked to over TLS'
certificate
start_server wss://127.0.0.1:0/ --cert "$work/cert.pem" --key "$work/key.pem"
echo 'Hello, secret!' >"$work/in"
client --count 1 --cacert "$work/cert.pem" "$url" <"$work/in" >"$work/out"
tell "$work/out"
cmp "$work/in" "$work/out"

step 'and by nobody who does not know the certificate'
status=0
client "$url" </dev/null 2>"$work/told" || status=$?
tell "$work/told"
test $status -eq 1
grep -q 'self-signed' "$work/told"
stop_server

step 'a server listens at a Unix socket'
start_server "ws+unix://$work/socket:/"
client --count 1 "$url" <"$work/in" >"$work/out"
tell "$work/out"
cmp "$work/in" "$work/out"
stop_server

step 'a client and a server talk over callbacks'
run "$bin/callbacks" >"$work/told"
tell "$work/told"

step 'a client and a server talk in memory'
run "$bin/memory_pair" >"$work/told"
tell "$work/told"

step 'a conversation is compressed, with and without a memory of what was said before'
run "$bin/compression" >"$work/told"
run "$bin/compression" 'client_no_context_takeover; level=6' >>"$work/told"
tell "$work/told"
grep -q 'to 1$' "$work/told"

step 'Python: python -m wsabi talks to the echo server in C'
start_server ws://127.0.0.1:0/ --deflate ''
export WSABI_LIBRARY=build/lib/libwsabi.so PYTHONPATH=bindings/python/src
printf 'hello from Python\nand again\n' | run python3 -m wsabi "$url" >"$work/told"
tell "$work/told"
test "$(cat "$work/told")" = "hello from Python
and again"
stop_server

step 'Python: ten lines of wsabi.sync, from README.md'
awk '/^```python$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$work/ten_lines.py"
run python3 "$work/ten_lines.py" >"$work/told"
tell "$work/told"
grep -q '^hello$' "$work/told"

printf '\ndemo: all %d steps worked\n' "$number"
