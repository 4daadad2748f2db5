#!/bin/sh
# All tests in C++: the suite with each compiler as each standard under sanitizers, the header, the examples, the README,
# and programs built against an installation and with CMake. setup.sh installs what they are built with; what is missing
# all the same is named, and with CI=true a failure. Ends with one line.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/c/checks.sh
scratch=build/cpp
skipped=0
mkdir -p $scratch
unset MAKEFLAGS # of a make that calls this

main() {
    check the_header_covers_the_c_abi sh tests/cpp/check_header.sh
    for compiler in g++ clang++; do
        for standard in 17 20; do
            if present $compiler; then suite $compiler $standard; else skip_it "the tests with $compiler as C++$standard"; fi
        done
        if present $compiler; then conformance $compiler; else skip_it "the conformance script with $compiler"; fi
    done
    if present g++; then check 'files of C++17 and C++20 go into one program' mixed; fi
    examples
    readme
    if present cmake pkg-config; then installation; else skip_it 'an installation, and CMake'; fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
}

present() { for tool; do command -v "$tool" >/dev/null || return; done; }

skip_it() {
    skipped=$((skipped + 1))
    skip "$1"
}

bounded() { if present timeout; then timeout "$@"; else shift && "$@"; fi; }

# suite COMPILER STANDARD: doctest counts its test cases; what a sanitizer finds makes it fail without a count.
suite() {
    name="$1 as C++$2"
    check "$name: builds without a warning" bounded 600 make -s -j2 -f tests/cpp/Makefile CXX="$1" STD="$2" || return
    bounded 120 $scratch/$1-$2/tests >$scratch/suite.log 2>&1
    status=$?
    count=$(sed -n 's/^.*test cases: *[0-9]* | *\([0-9]*\) passed | *\([0-9]*\) failed.*/\1 \2/p' $scratch/suite.log)
    set -- ${count:-0 0}
    passed=$((passed + $1))
    failed=$((failed + $2))
    [ $status = 0 ] || [ "$2" != 0 ] || failed=$((failed + 1))
    echo "$name: $1 passed, $2 failed (status $status)"
    [ $status = 0 ] || head -60 $scratch/suite.log
    out=$scratch/${name%% *}-${name##*C++}
    check "$name: has its sanitizers" sanitized "$out/tests"
    check "$name: a program without exceptions and run-time types" says hello "$out/greeting"
    check "$name: another ABI is refused, with both numbers" says 'version 1 .* library has 99$' "$out/other_abi"
}

# conformance COMPILER: the script that every language runs.
conformance() {
    name="$1: conformance"
    program=$scratch/$1-17/conformance
    check "$name: its runner builds without a warning" make -s -f tests/cpp/Makefile CXX="$1" STD=17 "$program" || return
    bounded 60 "$program" >$scratch/conformance.log 2>&1
    status=$?
    # shellcheck disable=SC2046
    set -- $(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, .*/\1 \2/p' $scratch/conformance.log)
    passed=$((passed + ${1:-0}))
    failed=$((failed + ${2:-0}))
    [ $status = 0 ] || [ "${2:-0}" != 0 ] || failed=$((failed + 1))
    echo "$name: ${1:-0} passed, ${2:-0} failed (status $status)"
    [ $status = 0 ] || head -30 $scratch/conformance.log
}

sanitized() { nm "$1" | grep -q __asan_init && nm "$1" | grep -q __ubsan_handle; }

mixed() {
    g++ -fsanitize=address,undefined $scratch/g++-17/test_values.o $scratch/g++-20/test_memory.o \
        $scratch/g++-17/test_exceptions.o $scratch/g++-20/test_sockets.o $scratch/g++-main.o \
        -o $scratch/mixed build/lib/libwsabi.a -lpthread -ldl -lm && bounded 60 $scratch/mixed
}

# says PATTERN COMMAND...: the command succeeds and says so.
says() {
    pattern=$1
    shift
    bounded 60 "$@" >$scratch/said.txt 2>&1 || { cat $scratch/said.txt; return 1; }
    cat $scratch/said.txt
    grep -q "$pattern" $scratch/said.txt
}

# start SERVER...: until it says where it listens: $url, $server.
start() {
    : >$scratch/server.log # the server before this one wrote here, too
    "$@" >$scratch/server.log 2>&1 &
    server=$!
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        url=$(sed -n 's/^listening on //p' $scratch/server.log)
        [ -n "$url" ] && return
        sleep 0.1
    done
    cat $scratch/server.log
    false
}

# It is asked to, and does, with status 0.
stops() { kill $server && wait $server; }

examples() {
    check 'the examples build without a warning' make -s -j2 examples-cpp
    check 'a client that does not read is built' deaf_client
    check 'they compile by the lines at their tops' compile_by_their_lines
    for kind in 'server ws://127.0.0.1:0/' 'asio_server 0'; do
        name=${kind%% *}
        # shellcheck disable=SC2086
        if [ ! -x build/bin/cpp/$name ]; then
            skip_it "the example $name: it could not be built"
        elif check "$name listens" start build/bin/cpp/$kind; then
            check "$name echoes a client's lines" echoes_lines build/bin/cpp/client "$url"
            check "$name echoes a client in C" echoes_lines build/bin/client --count 3 "$url"
            port=${url%/}
            port=${port##*:}
            if [ -x build/bin/cpp/asio_client ]; then
                check "$name serves 100 clients at once" says '^5000 of 5000 echoes, 100 of 100 closed well' \
                    build/bin/cpp/asio_client "$port" 100 50 1000
            else
                skip_it "$name and many clients: asio_client could not be built"
            fi
            check "$name takes no more from a client that does not read, and loses nothing" says '^all [0-9]* echoes' \
                $scratch/deaf_client "$url"
            check "$name ends when it is asked to" stops
        fi
    done
    check 'client says why nobody answers' nobody_answers
}

# Their code has been compiled, and those with Boost take long: of those the line alone is looked at.
compile_by_their_lines() {
    for source in examples-cpp/*.cpp; do
        name=$(basename "$source" .cpp)
        line=$(sed -n 's|^//   \(c++ .*\)$|\1|p' "$source")
        wanted="c++ -std=c++17 -Iinclude $source -Lbuild/lib -lwsabi -lpthread -o $name"
        [ "$line" = "$wanted" ] || { echo "$source: $line" && return 1; }
        case $name in asio_*) continue ;; esac
        ${line%-o *} -o $scratch/$name || return
    done
}

echoes_lines() {
    printf 'one\nzwölf\n{"three": 3}\n' >$scratch/lines.txt
    bounded 20 "$@" <$scratch/lines.txt >$scratch/echoes.txt && diff $scratch/lines.txt $scratch/echoes.txt
}

deaf_client() {
    ${CXX:-c++} -std=c++17 -O1 -Wall -Wextra -Wpedantic -Werror -Iinclude tests/cpp/deaf_client.cpp -o $scratch/deaf_client \
        -Lbuild/lib -Wl,-rpath,"$PWD/build/lib" -lwsabi -lpthread
}

nobody_answers() {
    ! bounded 20 build/bin/cpp/client ws://127.0.0.1:1/ </dev/null 2>$scratch/said.txt && grep -q refused $scratch/said.txt
}

# Its program in C++ is compiled as it stands there, and talks to the echo server.
readme() {
    awk '/^```cpp$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >$scratch/readme.cpp
    check 'the README has a program in C++' grep -q 'int main' $scratch/readme.cpp
    check 'it compiles without a warning' ${CXX:-c++} -std=c++17 -Wall -Wextra -Wpedantic -Wconversion -Werror -Iinclude \
        $scratch/readme.cpp -o $scratch/readme -Lbuild/lib -Wl,-rpath,"$PWD/build/lib" -lwsabi
    check 'an echo server listens' start build/bin/echo_server ws://127.0.0.1:0/ && {
        check 'it says hello' says '^hello$' $scratch/readme "$url"
        check 'the echo server ends' stops
    }
    check 'it says what is wrong where nobody listens' readme_fails_in_words
}

readme_fails_in_words() {
    ! bounded 20 $scratch/readme ws://127.0.0.1:1/ 2>$scratch/said.txt && grep -q refused $scratch/said.txt
}

installation() {
    prefix=$PWD/$scratch/prefix
    rm -rf "$prefix" $scratch/found $scratch/subdirectory
    check 'make install' make -s install PREFIX="$prefix"
    check 'find_package finds the installation' cmake -S tests/cpp/found -B $scratch/found -DCMAKE_PREFIX_PATH="$prefix"
    check 'a program is built with what it found' bounded 120 cmake --build $scratch/found
    check 'it runs with the shared library' says hello $scratch/found/shared
    check 'it runs with the static library' says hello $scratch/found/static
    check 'an installation that is too old is not taken' too_old
    check 'an installation is found where it has been moved' moved
    check 'an installation is found with its libraries elsewhere' other_libdir
    check 'pkg-config finds the installation' with_pkg_config
    # Where cargo has built already, so that this takes seconds.
    check 'FetchContent takes the source tree' cmake -S tests/cpp/subdirectory -B $scratch/subdirectory \
        -DWSABI_TARGET_DIR="$(target_directory)" -DCMAKE_INSTALL_PREFIX="$prefix.cmake"
    check 'a program is built along with the library' bounded 600 cmake --build $scratch/subdirectory
    check 'it runs with the shared library built along' says hello $scratch/subdirectory/shared
    check 'it runs with the static library built along' says hello $scratch/subdirectory/static
    rm -rf "$prefix.cmake" $scratch/found
    check 'CMake installs, too' cmake --install $scratch/subdirectory
    check 'and the same files' same_files
    check 'find_package finds that' cmake -S tests/cpp/found -B $scratch/found -DCMAKE_PREFIX_PATH="$prefix.cmake"
    check 'a program is built with that' bounded 120 cmake --build $scratch/found
    check 'and runs' says hello $scratch/found/shared
}

target_directory() {
    ${CARGO:-cargo} metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

too_old() {
    mkdir -p $scratch/too_old
    printf 'cmake_minimum_required(VERSION 3.16)\nproject(old CXX)\nfind_package(wsabi 0.999 REQUIRED)\n' >$scratch/too_old/CMakeLists.txt
    ! cmake -S $scratch/too_old -B $scratch/too_old/build -DCMAKE_PREFIX_PATH="$prefix" >$scratch/said.txt 2>&1 &&
        grep -q '0\.999' $scratch/said.txt
}

moved() {
    rm -rf "$prefix.moved" $scratch/moved && cp -a "$prefix" "$prefix.moved" && mv "$prefix" "$prefix.away" &&
        cmake -S tests/cpp/found -B $scratch/moved -DCMAKE_PREFIX_PATH="$prefix.moved" && bounded 120 cmake --build $scratch/moved &&
        says hello $scratch/moved/shared && says hello $scratch/moved/static
    status=$?
    mv "$prefix.away" "$prefix"
    return $status
}

other_libdir() {
    rm -rf "$prefix.libdir" $scratch/libdir && make -s install PREFIX="$prefix.libdir" LIBDIR=lib64/more &&
        cmake -S tests/cpp/found -B $scratch/libdir -Dwsabi_DIR="$prefix.libdir/lib64/more/cmake/wsabi" &&
        bounded 120 cmake --build $scratch/libdir && says hello $scratch/libdir/shared && says hello $scratch/libdir/static
}

# But for the list that `make uninstall` reads.
same_files() {
    (cd "$prefix" && find . ! -name installed.txt | sort) >$scratch/of-make.txt
    (cd "$prefix.cmake" && find . | sort) >$scratch/of-cmake.txt
    grep -q debug $scratch/of-make.txt && diff $scratch/of-make.txt $scratch/of-cmake.txt
}

# The flags are words: they are split on purpose.
# shellcheck disable=SC2046
with_pkg_config() {
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig
    export PKG_CONFIG_PATH
    ${CXX:-c++} -std=c++17 tests/cpp/greeting.cpp $(pkg-config --cflags --libs wsabi) -o $scratch/pkg-config &&
        LD_LIBRARY_PATH=$prefix/lib says hello $scratch/pkg-config
}

main
