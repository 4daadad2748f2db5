#!/bin/sh
# What run.sh does in the root `windows`: builds everything for Windows with mingw-w64, and runs it under wine. Ends each part with
# a line of counts. PARTS names some of the parts, where not all are wanted.
set -u

target=x86_64-pc-windows-gnu
build=/output/target/$target/debug
bin=/output/bin
export RUSTC_BOOTSTRAP=1 WINEDEBUG=-all WINEPREFIX=/output/wine CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
# Not compressed, so that mingw's tools need nothing; what is not found is no error of the library's.
unset DISPLAY
status=0

main() {
    mkdir -p "$bin" /output/logs
    # The prefix is made on the first run.
    [ -e "$WINEPREFIX" ] || wineboot -i >/output/logs/wineboot.log 2>&1
    for part in ${PARTS:-rust c cpp examples both many planted absent}; do
        "$part"
    done
    wineserver -k 2>/dev/null
    [ $status = 0 ]
}

cargo_for_windows() {
    cargo -Zbuild-std=std,panic_unwind "$@" --locked --target $target
}

# The unit tests, and the promises. rcgen makes certificates there, too.
rust() {
    echo 'windows: the tests in Rust'
    log=/output/logs/rust.log
    # Those that look at the source have nothing to do with a platform.
    tests=$(cd tests && for file in *.rs; do
        case $file in architecture.rs) ;; *) echo "--test ${file%.rs}" ;; esac
    done)
    # The tests are words.
    # shellcheck disable=SC2086
    WSABI_SLOW_SOCKETS=1 cargo_for_windows test --no-fail-fast --lib $tests >$log 2>&1
    result=$?
    if [ $result != 0 ] || grep -q '^warning: .wsabi. ' $log; then
        status=1
        grep -v ' \.\.\. ok$' $log | grep -v '^ *\(Compiling\|Downloaded\) ' | tail -n 80
    fi
    awk -v status="$result" '
        /^warning: .wsabi. / { failed++ }
        /^test result: / { passed += $4; failed += $6; skipped += $8 }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed + (status && !failed), skipped }
    ' $log
}

library() {
    [ -n "${built:-}" ] || cargo_for_windows build --lib >/output/logs/library.log 2>&1 || {
        tail -n 30 /output/logs/library.log
        status=1
    }
    built=yes
    cp -u "$build/wsabi.dll" "$bin/"
    # Beside each program, as on Windows.
    cp -u "$(x86_64-w64-mingw32-gcc -print-file-name=libwinpthread-1.dll)" "$bin/" 2>/dev/null
}

# compile SOURCE PROGRAM: in C, with Windows' own names for what is POSIX's.
compile() {
    x86_64-w64-mingw32-gcc -std=gnu99 -O1 -g -Wall -Wextra -Werror -Wno-pointer-sign -Wno-sign-compare -Wno-format \
        -Wno-unused-function -D_POSIX_C_SOURCE=200809L -D__USE_MINGW_ANSI_STDIO=1 \
        -include tests/windows/posix/posix.h -Itests/windows/posix -Iinclude -Itests/c "$1" -o "$2" \
        -L"$build" -lwsabi -static-libgcc -Wl,-Bstatic -lpthread -Wl,-Bdynamic -lws2_32
}

# The tests in C that a platform without fork() and /proc can have.
c() {
    echo 'windows: the tests in C'
    library
    passed=0 failed=0
    for source in tests/c/test_*.c tests/windows/test_*.c; do
        name=$(basename "$source" .c)
        ! grep -qx "$source" tests/windows/absent.txt || continue
        [ -z "${ONLY:-}" ] || echo " $ONLY " | grep -q " $name " || continue
        log=/output/logs/$name.log
        if compile "$source" "$bin/$name.exe" >"$log" 2>&1; then
            (cd $bin && timeout 600 wine "$name.exe") >>"$log" 2>&1
        fi
        counts=$(tr -d '\r' <"$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' | tail -n 1)
        # shellcheck disable=SC2086
        set -- ${counts:-0 1}
        passed=$((passed + $1)) failed=$((failed + $2))
        if [ "$2" != 0 ]; then
            echo "$name: $1 passed, $2 failed"
            tr -d '\r' <"$log" | grep -v '^ok ' | tail -n 20
        fi
    done
    [ $failed = 0 ] || status=1
    echo "$passed passed, $failed failed, 0 skipped"
}

# The C++ tests, as one program.
cpp() {
    echo 'windows: the tests in C++'
    library
    log=/output/logs/cpp.log
    # Debian's headers are not mingw's.
    mkdir -p /output/include && ln -sfn /usr/include/doctest /output/include/doctest
    # A view by value is no dangling reference: gcc 14 takes it for one.
    if x86_64-w64-mingw32-g++ -std=c++17 -O1 -g -Wall -Wextra -Werror -Wno-sign-compare -Wno-dangling-reference \
        -include tests/windows/posix/posix.h -isystem /output/include -Itests/windows/posix -Iinclude -Itests/cpp -Itests/c \
        tests/cpp/main.cpp tests/cpp/test_*.cpp -o $bin/test_cpp.exe -L"$build" -lwsabi -static-libgcc -static-libstdc++ \
        -Wl,-Bstatic -lpthread -Wl,-Bdynamic -lws2_32 >$log 2>&1; then
        (cd $bin && timeout 600 wine test_cpp.exe) >>$log 2>&1
    fi
    counts=$(tr -d '\r' <$log | sed -n 's/^.*test cases: *[0-9]* | *\([0-9]*\) passed | *\([0-9]*\) failed.*/\1 \2/p')
    # shellcheck disable=SC2086
    set -- ${counts:-0 1}
    if [ "$2" != 0 ]; then
        status=1
        tail -n 40 $log
    fi
    echo "$1 passed, $2 failed, 0 skipped"
}

# Built here, run by both.py.
examples() {
    echo 'windows: the examples'
    library
    failed=0 passed=0
    for source in examples-c/*.c tests/autobahn/autobahn_client.c; do
        name=$(basename "$source" .c)
        ! grep -qx "$source" tests/windows/absent.txt || continue
        if x86_64-w64-mingw32-gcc -std=gnu99 -O2 -g -Wall -Wextra -Werror -D__USE_MINGW_ANSI_STDIO=1 -Iinclude "$source" \
            -o "$bin/$name.exe" -L"$build" -lwsabi -static-libgcc -Wl,-Bstatic -lpthread -Wl,-Bdynamic -lws2_32; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1)) status=1
        fi
    done
    for name in memory_pair callbacks compression; do
        if (cd $bin && timeout 60 wine $name.exe) >/output/logs/$name.log 2>&1; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1)) status=1
            tail -n 10 /output/logs/$name.log
        fi
    done
    echo "$passed passed, $failed failed, 0 skipped"
}

# Each server with each client, plain and with TLS: lines as texts, and a file as one message, there and back.
both() {
    echo 'windows: with the programs for Linux'
    passed=0 failed=0
    export LD_LIBRARY_PATH="${LINUX_LIBRARY:-/wsabi/build/lib}"
    linux=${LINUX_PROGRAMS:-/wsabi/build/bin}
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:TRUE \
        -keyout $bin/key.pem -out $bin/cert.pem 2>/dev/null
    head -c 300000 /dev/urandom >$bin/file
    cd $bin || exit
    for scheme in ws wss; do
        talk 'wine echo_server.exe' "$linux/client"
        talk "$linux/echo_server" 'wine client.exe'
        talk 'wine echo_server.exe' 'wine client.exe'
    done
    cd /wsabi || exit
    [ $failed = 0 ] || status=1
    echo "$passed passed, $failed failed, 0 skipped"
}

# talk SERVER CLIENT: both are words.
# shellcheck disable=SC2086
talk() {
    identity='' trust=''
    [ $scheme = ws ] || identity='--cert cert.pem --key key.pem' trust='--cacert cert.pem'
    $1 $identity $scheme://127.0.0.1:0/ >server.log 2>&1 &
    server=$! tries=0
    until grep -q '^listening on' server.log || [ $tries = 100 ]; do sleep 0.1 && tries=$((tries + 1)); done
    url=$(sed -n 's|^listening on \([^\r]*\).*|\1|p' server.log | tr -d '\r')
    said=$(printf 'hello\nworld\n' | timeout 30 $2 $trust --count 2 "$url" 2>client.log | tr -d '\r')
    rm -f back
    timeout 60 $2 $trust --file file --output back --count 1 "$url" 2>>client.log
    if [ "$said" = "$(printf 'hello\nworld')" ] && cmp -s file back; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$scheme: $1 with $2: $said"
        tail -n 5 server.log client.log
    fi
    kill $server 2>/dev/null
    wait $server 2>/dev/null
}

many() {
    echo 'windows: many connections, one poller'
    library
    if compile tests/windows/many.c $bin/many.exe && (cd $bin && timeout 300 wine many.exe "${CONNECTIONS:-1000}" 10); then
        echo '1 passed, 0 failed, 0 skipped'
    else
        status=1
        echo '0 passed, 1 failed, 0 skipped'
    fi
}

# Faults that are planted in a copy of the library, each of which a test has to find.
planted() {
    echo 'windows: planted faults'
    library
    passed=0 failed=0
    plant a_poller_that_does_not_ask_again every_message_is_reported src/sys/windows/watch.rs \
        's/if wanted != watch.armed {/if false \&\& wanted != watch.armed {/'
    plant a_port_that_others_can_take a_listener_holds_its_port_for_itself src/sys/windows/net.rs \
        's/SO_EXCLUSIVEADDRUSE/SO_REUSEADDR/'
    [ $failed = 0 ] || status=1
    echo "$passed passed, $failed failed, 0 skipped"
}

# plant NAME TEST FILE EDIT: the test fails once the file has been edited, and for no other reason than that.
plant() {
    copy=/output/planted log=/output/logs/$1.log
    rm -rf $copy
    mkdir -p $copy/bin
    cp -r Cargo.toml Cargo.lock build.rs src include tests benches $copy/
    sed -i "$4" "$copy/$3"
    if ! cmp -s "$3" "$copy/$3" && cargo_for_windows build --lib --manifest-path $copy/Cargo.toml >"$log" 2>&1; then
        cp "$build/wsabi.dll" $bin/test_windows.exe $copy/bin/
        (cd $copy/bin && timeout 200 wine test_windows.exe "$2") >>"$log" 2>&1
    fi
    if tr -d '\r' <"$log" | grep -q "^FAIL $2: " && (cd $bin && timeout 200 wine test_windows.exe "$2" >/dev/null 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$1 is not found"
        tail -n 10 "$log"
    fi
    # What is built from here on is the library itself.
    touch src/lib.rs
    built=
}

# What Windows does not have is what absent.txt says, no more and no less.
absent() {
    echo 'windows: what is absent'
    {
        for source in tests/c/test_*.c; do
            if [ ! -e "$bin/$(basename "$source" .c).exe" ]; then
                echo "$source"
            else
                sed -n "s|^.*RUN_POSIX(\([a-z0-9_]*\)).*|$source \1|p" "$source"
            fi
        done
        for source in tests/cpp/test_*.cpp; do
            awk -v source="$source" '/^#ifndef _WIN32/ { marked = 1; next }
                /^TEST_CASE/ && marked { sub(/^[^"]*"/, ""); sub(/".*/, ""); print source " " $0 } { marked = 0 }' "$source"
        done
        for source in examples-c/*.c; do
            [ -e "$bin/$(basename "$source" .c).exe" ] || echo "$source"
        done
        for source in tests/*.rs tests/promises/*.rs $(find src -name '*.rs' | grep -v '^src/sys/unix/'); do
            awk -v source="$source" '/^ *#\[cfg\(unix\)\]/ { marked = 1; next } /^ *#\[test\]/ && marked { test = 1; next }
                / *fn / && test { sub(/^.*fn /, ""); sub(/\(.*/, ""); print source " " $0 } { marked = test = 0 }' "$source"
        done
    } | sort >/output/absent.txt
    if grep -v '^#' tests/windows/absent.txt | grep . | sort | diff - /output/absent.txt; then
        echo '1 passed, 0 failed, 0 skipped'
    else
        status=1
        echo '0 passed, 1 failed, 0 skipped'
    fi
}

main
