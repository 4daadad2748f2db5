# The two commands to know: `make demo` and `make test`. Everything built goes to target/ and build/.

PREFIX ?= /usr/local
CC ?= cc
CXX ?= c++
CARGO ?= cargo
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
ABI := $(shell sed -n 's/.*WS_ABI_VERSION: u32 = \([0-9]*\);/\1/p' src/ffi/types.rs)
LIBRARY := build/lib/libwsabi.so.$(ABI).$(VERSION)

CFLAGS_ALL := -std=c99 -O2 -g -Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L -Iinclude $(CFLAGS)
CXXFLAGS_ALL := -std=c++17 -O2 -g -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iinclude $(CXXFLAGS)
LDFLAGS_ALL := -Lbuild/lib -Wl,-rpath,$(abspath build/lib) -lwsabi -lpthread $(LDFLAGS)

EXAMPLES := $(patsubst examples-c/%.c,build/bin/%,$(wildcard examples-c/*.c))
EXAMPLES_CPP := $(patsubst examples-cpp/%.cpp,build/bin/cpp/%,$(wildcard examples-cpp/*.cpp))
TEST_CLIENTS := build/bin/autobahn_client build/bin/peer_client
C_TESTS := $(patsubst tests/c/%.c,build/bin/%,$(wildcard tests/c/test_*.c))
KNOWN_FAULTS := $(patsubst tests/%.c,build/bin/%,$(wildcard tests/known_faults/test_*.c))

SCALE := $(addprefix build/bin/,broadcast_server cluster_chat cable idle)

PYTHON := build/python/venv/bin/python

.PHONY: all lib examples examples-cpp demo test test-rust test-loom test-portable test-c test-known-faults test-cpp test-python test-peers test-scale setup-scale
.PHONY: setup-python bindings idle autobahn autobahn-full lint install uninstall notices sizes clean
.PHONY: bench bench-memory bench-tcp bench-python bench-quick bench-setup report

all: lib examples

## The library, with the names that a linker and a loader look for.
lib:
	@mkdir -p build/bin
	CARGO='$(CARGO)' sh packaging/library.sh build/lib $(CARGOFLAGS)

examples: $(EXAMPLES)

# Beside a C++ compiler, those with asio in their names want Boost; what is missing leaves them out.
examples-cpp: $(EXAMPLES_CPP)

build/bin/cpp/%: examples-cpp/%.cpp $(wildcard examples-cpp/*.hpp) include/wsabi.h include/wsabi.hpp | lib
	@mkdir -p build/bin/cpp
	@if $(CXX) -Iinclude -M $< >/dev/null 2>&1; then \
		set -x; $(CXX) $(CXXFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL); \
	else \
		echo 'skipped $@: there is no $(CXX), or not what it includes'; [ "$${CI:-}" != true ]; \
	fi

build/bin/%: examples-c/%.c $(wildcard examples-c/*.h) include/wsabi.h | lib
	$(CC) $(CFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL)
# It wants libnats, without which it is left out.
build/bin/cluster_chat: examples-c/cluster_chat.c examples-c/server_options.h include/wsabi.h | lib
	@if echo '#include <nats/nats.h>' | $(CC) -E - >/dev/null 2>&1; then \
		set -x; $(CC) $(CFLAGS_ALL) $< -o $@ -lnats $(LDFLAGS_ALL); \
	else \
		echo 'skipped $@: libnats-dev is not installed'; [ "$${CI:-}" != true ]; \
	fi
build/bin/%: tests/c/%.c $(wildcard tests/c/*.h) include/wsabi.h | lib
	$(CC) $(CFLAGS_ALL) -Itests/c $< -o $@ $(LDFLAGS_ALL) -ldl
build/bin/known_faults/%: tests/known_faults/%.c $(wildcard tests/c/*.h) include/wsabi.h | lib
	@mkdir -p build/bin/known_faults
	$(CC) $(CFLAGS_ALL) -Itests/c $< -o $@ $(LDFLAGS_ALL) -ldl
build/bin/autobahn_client: tests/autobahn/autobahn_client.c include/wsabi.h | lib
	$(CC) $(CFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL)
build/bin/%: tests/scale/%.c include/wsabi.h | lib
	$(CC) $(CFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL)
build/bin/peer_client: tests/peers/peer_client.c $(wildcard examples-c/*.h) include/wsabi.h | lib
	$(CC) $(CFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL)

## Shows server and client at work over TCP, TLS and a Unix socket, in C, C++ and Python.
demo: lib examples build/bin/cpp/client
	sh examples-c/demo.sh

## Everything but the conformance suite, which is `make autobahn`.
test: setup-scale test-rust test-loom test-portable test-c test-known-faults test-cpp test-python test-peers test-scale

test-rust:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test

# What threads tell one another without a lock, in every order; and that faults planted there are found.
test-loom:
	CARGO_TARGET_DIR=$(abspath target/loom) $(CARGO) test --manifest-path tests/loom/Cargo.toml

# For other processors, in emulation.
test-portable:
	sh tests/portable/run.sh

test-c: lib examples $(C_TESTS)
	sh tests/c/run.sh

# Faults that are not fixed yet: each of these tests must fail.
test-known-faults: lib $(KNOWN_FAULTS)
	sh tests/known_faults/run.sh $(KNOWN_FAULTS)

# Warnings are errors, in the programs that the tests start, too. The peers are for their Chromium.
test-python: lib setup-python
	sh tests/peers/setup.sh
	$(PYTHON) bindings/generate.py --check
	$(PYTHON) -m mypy --strict --cache-dir build/python/mypy bindings/python/src/wsabi
	WSABI_LIBRARY=$(abspath build/lib/libwsabi.so) PYTHONPATH=$(abspath bindings/python/src) \
		$(PYTHON) -W error tests/python/conformance.py
	WSABI_LIBRARY=$(abspath build/lib/libwsabi.so) PYTHONPATH=$(abspath bindings/python/src) \
		$(PYTHON) -W error -m pytest -q -p no:cacheprovider tests/python

setup-python:
	sh tests/python/setup.sh

## The tables of the bindings, from include/wsabi.h.
bindings: lib setup-python
	$(PYTHON) bindings/generate.py

test-cpp: lib build/bin/echo_server build/bin/client
	sh tests/cpp/setup.sh
	sh tests/cpp/run.sh

test-peers: lib examples build/bin/peer_client
	sh tests/peers/setup.sh
	python3 tests/peers/run.py --deflate --server build/bin/echo_server --client build/bin/peer_client
	python3 tests/peers/transports.py

test-scale: lib setup-scale $(SCALE)
	python3 tests/scale/run.py

# Before the examples, one of which wants a package of it.
setup-scale:
	sh tests/scale/setup.sh

## What an idle connection costs, beside tungstenite.
idle: lib setup-scale $(SCALE)
	CARGO='$(CARGO)' python3 tests/scale/idle.py

## The Autobahn TestSuite against the C programs, and against Python, both ways.
autobahn: lib examples build/bin/autobahn_client
	sh tests/autobahn/setup.sh
	python3 tests/autobahn/run.py --server build/bin/echo_server --client build/bin/autobahn_client
	WSABI_LIBRARY=$(abspath build/lib/libwsabi.so) PYTHONPATH=$(abspath bindings/python/src) python3 tests/autobahn/run.py \
		--name python --server 'python3 tests/autobahn/python_server.py' --client 'python3 tests/autobahn/python_client.py'

autobahn-full: lib examples build/bin/autobahn_client
	sh tests/autobahn/setup.sh
	python3 tests/autobahn/run.py --server build/bin/echo_server --client build/bin/autobahn_client --full --timeout 5400

## In memory and over TCP, beside the peers, each in one run; then docs/performance.md with its plots.
bench: bench-memory bench-tcp report

bench-memory:
	mkdir -p build/bench
	CARGO_TARGET_DIR=target $(CARGO) run --release --quiet --manifest-path benches/Cargo.toml -- --json build/bench/memory.json

bench-tcp: bench-setup
	python3 benches/tcp/run.py --json build/bench/tcp.json

## Echo servers in Python, beside websockets and picows; fails where we are slower than websockets.
bench-python: lib
	sh benches/python/setup.sh
	python3 benches/python/run.py --json build/bench/python.json

## A line for each goal, with its figure and its bound, in less than a minute; fails where one falls short.
bench-quick: lib build/bench/bin/wsabi
	sh benches/tcp/setup.sh --quick
	CARGO_TARGET_DIR=target $(CARGO) run --release --quiet --manifest-path benches/Cargo.toml -- --goals; memory=$$?; python3 benches/tcp/run.py --quick && [ $$memory = 0 ]

build/bench/bin/wsabi: benches/tcp/wsabi.c include/wsabi.h | lib
	mkdir -p build/bench/bin
	$(CC) $(CFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL)

bench-setup: lib build/bench/bin/wsabi
	sh benches/tcp/setup.sh

report:
	python3 benches/report.py

## Copies what `make` has built, and builds the library only where that has not been done: root need not have cargo.
install: $(LIBRARY)
	@sh packaging/install.sh install '$(PREFIX)' '$(DESTDIR)'

## Takes away what `make install` with the same PREFIX has put there, and nothing else.
uninstall:
	@sh packaging/install.sh uninstall '$(PREFIX)' '$(DESTDIR)'

$(LIBRARY):
	$(MAKE) lib

## The licences of what is linked into the library, when Cargo.lock has changed; and the table of sizes in the docs.
notices:
	CARGO='$(CARGO)' python3 packaging/notices.py
sizes:
	CARGO='$(CARGO)' python3 packaging/sizes.py

clean:
	$(CARGO) clean
	rm -rf build
