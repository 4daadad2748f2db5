# `make help` lists the targets. All output goes to target/ and build/.

PREFIX ?= /usr/local
LIBDIR ?= lib
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

# What `make check` builds in C, with a library that is quick to build; the longest tests start first.
QUICK_TESTS := $(patsubst tests/c/%.c,build/check/bin/%,$(sort $(wildcard tests/c/test_*.c)))
QUICK_LONGEST := $(addprefix build/check/bin/test_,waiting reporting)
QUICK_FAULTS := $(patsubst tests/%.c,build/check/bin/%,$(wildcard tests/known_faults/test_*.c))
LDFLAGS_QUICK := -Wl,--as-needed -Lbuild/check/lib -Wl,-rpath,$(abspath build/check/lib) -lwsabi -lpthread -ldl $(LDFLAGS)

SCALE := $(addprefix build/bin/,broadcast_server cluster_chat faulty_link idle)

PYTHON := build/python/venv/bin/python

TESTS := setup-scale lint test-rust test-loom test-c test-known-faults test-cpp test-python test-peers test-scale
# `make test-windows` is not among them yet: two of its 780 tests fail under wine.
TESTS_ALL := $(TESTS) test-dist test-targets

.PHONY: help all lib examples examples-cpp demo check lint test test-all ci-steps test-rust test-loom test-tsan test-portable test-c test-known-faults test-cpp
.PHONY: test-asan test-python test-peers test-scale quick-lib quick-c
.PHONY: setup-lint setup-c setup-cpp setup-python setup-peers setup-scale setup-autobahn setup-portable
.PHONY: bindings idle autobahn autobahn-full install uninstall notices sizes clean
.PHONY: dist wheels recipes deb setup-dist setup-deb test-dist test-deb setup-targets test-targets
.PHONY: test-windows setup-windows windows
.PHONY: bench bench-memory bench-tcp bench-python bench-quick bench-ab bench-setup report

## Build the library and the examples in C.
all: lib examples

## Print this list.
help:
	@awk '/^## / { text = substr($$0, 4) } /^[a-z][a-z-]*:/ { if (text) printf "%-20s %s\n", substr($$1, 1, index($$1, ":") - 1), text } \
		!/^##/ { text = "" }' $(MAKEFILE_LIST)

## Build the library, with the file names that linkers and loaders look for.
lib:
	@mkdir -p build/bin
	CARGO='$(CARGO)' sh packaging/library.sh build/lib $(CARGOFLAGS)

## Build the example programs in C.
examples: $(EXAMPLES)

# They need a C++ compiler, and those with asio in their names Boost; without these they are skipped.
## Build the example programs in C++.
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
# It needs libnats, and is skipped without it.
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

## Show server and client over TCP, TLS and a Unix socket, in C, C++ and Python.
demo: lib examples build/bin/cpp/client
	sh examples-c/demo.sh

## Check format, clippy and the tests in Rust and C, in two minutes; installs nothing.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test --quiet
	@$(MAKE) --no-print-directory quick-c

quick-lib:
	@mkdir -p build/check/lib build/check/bin/known_faults
	@cp -u --remove-destination "$$(CARGO='$(CARGO)' sh packaging/cargo-build.sh --lib | grep '/libwsabi\.so$$')" \
		build/check/lib/libwsabi.so.$(ABI)
	@ln -sf libwsabi.so.$(ABI) build/check/lib/libwsabi.so

# They wait more than they compute, so they run in parallel.
quick-c: $(QUICK_TESTS) $(QUICK_FAULTS)
	@printf '%s\n' $(QUICK_LONGEST) $(filter-out $(QUICK_LONGEST),$(QUICK_TESTS)) | xargs -P 3 -I{} sh -c \
		'{} >{}.log 2>&1; status=$$?; grep -v "^ok" {}.log | sed "s|^|$$(basename {}): |"; exit $$status'
	@CARGO='$(CARGO)' sh tests/known_faults/run.sh $(QUICK_FAULTS)

build/check/bin/%: tests/c/%.c $(wildcard tests/c/*.h) include/wsabi.h | quick-lib
	@$(CC) $(CFLAGS_ALL) -Itests/c $< -o $@ $(LDFLAGS_QUICK)
build/check/bin/known_faults/%: tests/known_faults/%.c $(wildcard tests/c/*.h) include/wsabi.h | quick-lib
	@$(CC) $(CFLAGS_ALL) -Itests/c $< -o $@ $(LDFLAGS_QUICK)

## Run all static checks of Rust, C, C++, shell and Python; lists those that it has to skip.
lint: setup-lint
	@CARGO='$(CARGO)' CFLAGS_ALL='$(CFLAGS_ALL)' CXXFLAGS_ALL='$(CXXFLAGS_ALL)' sh tests/lint/run.sh

## Run all tests except the conformance suite, which is `make autobahn`.
test: $(TESTS)

## Run all tests of `make test`, and those that unpack a Debian of their own.
test-all: $(TESTS_ALL)

# What .ci/run runs, step by step.
ci-steps:
	@echo $(TESTS_ALL) autobahn

## Run the tests in Rust.
test-rust:
	$(CARGO) test

## Run the lock-free code in every order of its threads (loom), and check that planted faults are found.
test-loom:
	CARGO_TARGET_DIR=$(abspath target/loom) $(CARGO) test --manifest-path tests/loom/Cargo.toml

## Run the tests in Rust for other processors, in emulation.
test-portable: setup-portable
	sh tests/portable/run.sh

## Make the Debian root in which the tests for Windows run, in ~/.cache/wsabi (WSABI_CACHE); needs root and 4 GiB.
setup-windows:
	sh tests/root.sh make windows

## Run the tests for Windows: built with mingw-w64, run under wine.
test-windows: setup-windows lib examples
	sh tests/windows/run.sh

## Build the library for Windows (x86_64) into build/windows, in the same root.
windows: setup-windows
	sh tests/root.sh run windows sh packaging/windows.sh build/windows --release

## Run the tests in C, also under valgrind and sanitizers; check the ABI, an installation, the examples.
test-c: lib examples setup-c $(C_TESTS)
	sh tests/c/run.sh

# Not part of `make test`: each takes SECONDS_EACH, which are 600.
## Run random API calls, hostile peers and poller schedules under AddressSanitizer, ten minutes of each.
test-asan:
	sh tests/asan.sh

# Not part of `make test`: it builds the standard library, which takes minutes.
## Run the tests of threads under ThreadSanitizer.
test-tsan:
	sh tests/portable/setup.sh --rust
	sh tests/c/tsan.sh

## Run the tests of faults that are not fixed yet, each of which must fail.
test-known-faults: lib $(KNOWN_FAULTS)
	CARGO='$(CARGO)' sh tests/known_faults/run.sh $(KNOWN_FAULTS)

# Warnings are errors, also in the programs that the tests start. Chromium comes with the peers.
## Run the tests of the Python package.
test-python: lib setup-python setup-peers
	$(PYTHON) bindings/generate.py --check
	$(PYTHON) -m mypy --strict --cache-dir build/python/mypy bindings/python/src/wsabi
	WSABI_LIBRARY=$(abspath build/lib/libwsabi.so) PYTHONPATH=$(abspath bindings/python/src) \
		$(PYTHON) -W error tests/python/conformance.py
	WSABI_LIBRARY=$(abspath build/lib/libwsabi.so) PYTHONPATH=$(abspath bindings/python/src) \
		$(PYTHON) -W error -m pytest -q -p no:cacheprovider tests/python

## Generate the tables of the bindings from include/wsabi.h.
bindings: lib setup-python
	$(PYTHON) bindings/generate.py

## Run the tests in C++, with two compilers and two standards, and with CMake.
test-cpp: lib setup-cpp build/bin/echo_server build/bin/client
	sh tests/cpp/run.sh

## Run the tests with other WebSocket libraries, proxies and reverse proxies.
test-peers: lib setup-peers examples build/bin/peer_client
	python3 tests/peers/run.py --deflate --server build/bin/echo_server --client build/bin/peer_client
	python3 tests/peers/transports.py

## Run the tests with many clients, several processes behind load balancers, and a faulty link.
test-scale: lib setup-scale $(SCALE)
	python3 tests/scale/run.py

# What the tests of the same name want and a fresh machine does not have: tools from Debian, others below build/. The tests
# install nothing. setup-scale comes before the examples, one of which needs a package that it installs.
setup-lint setup-c setup-cpp setup-python setup-peers setup-scale setup-autobahn setup-portable:
	@sh tests/$(@:setup-%=%)/setup.sh

## Measure the cost of an idle connection, compared with tungstenite.
idle: lib setup-scale $(SCALE)
	CARGO='$(CARGO)' python3 tests/scale/idle.py

## Run the Autobahn TestSuite with the C programs and with Python, as client and as server.
autobahn: lib setup-autobahn examples build/bin/autobahn_client
	python3 tests/autobahn/run.py --server build/bin/echo_server --client build/bin/autobahn_client
	WSABI_LIBRARY=$(abspath build/lib/libwsabi.so) PYTHONPATH=$(abspath bindings/python/src) python3 tests/autobahn/run.py \
		--name python --server 'python3 tests/autobahn/python_server.py' --client 'python3 tests/autobahn/python_client.py'

## Run all its cases, including the slow ones.
autobahn-full: lib setup-autobahn examples build/bin/autobahn_client
	python3 tests/autobahn/run.py --server build/bin/echo_server --client build/bin/autobahn_client --full --timeout 5400

## Run the benchmarks against other libraries, in memory and over TCP, and write docs/performance.md.
bench: bench-memory bench-tcp report

## Run the benchmarks in memory only.
bench-memory:
	mkdir -p build/bench
	CARGO_TARGET_DIR=target $(CARGO) run --release --quiet --manifest-path benches/Cargo.toml -- --json build/bench/memory.json

## Run the benchmarks over TCP only.
bench-tcp: bench-setup
	python3 benches/tcp/run.py --json build/bench/tcp.json

## Benchmark echo servers in Python against websockets and picows; fails if slower than websockets.
bench-python: lib
	sh benches/python/setup.sh
	python3 benches/python/run.py --json build/bench/python.json

## Print each performance goal with its result and bound, in about a minute; fails if one is missed.
bench-quick: lib build/bench/bin/wsabi
	sh benches/tcp/setup.sh --quick
	CARGO_TARGET_DIR=target $(CARGO) run --release --quiet --manifest-path benches/Cargo.toml -- --goals; memory=$$?; python3 benches/tcp/run.py --quick && [ $$memory = 0 ]

## Compare the cost of a message with BASE=commit, in cells whose names contain ONLY=text; fails if it grew.
bench-ab: lib build/ab/ab
	@[ -n "$(BASE)" ] || { echo 'make bench-ab BASE=commit [ONLY=text]' >&2; exit 2; }
	CARGO='$(CARGO)' python3 benches/ab/run.py '$(BASE)' --only '$(ONLY)'

build/ab/ab: benches/ab/ab.c include/wsabi.h
	@mkdir -p build/ab
	$(CC) $(CFLAGS_ALL) $< -o $@ -ldl

build/bench/bin/wsabi: benches/tcp/wsabi.c include/wsabi.h | lib
	mkdir -p build/bench/bin
	$(CC) $(CFLAGS_ALL) $< -o $@ $(LDFLAGS_ALL)

bench-setup: lib build/bench/bin/wsabi
	sh benches/tcp/setup.sh

## Write docs/performance.md and its plots from the results of the last runs.
report:
	python3 benches/report.py

# It builds the library only if there is none yet, so that root needs no cargo.
## Install what `make` has built below PREFIX (default /usr/local), within DESTDIR; libraries go to LIBDIR (lib).
install: $(LIBRARY)
	@LIBDIR='$(LIBDIR)' sh packaging/install.sh install '$(PREFIX)' '$(DESTDIR)'

## Remove exactly what `make install` with the same PREFIX has installed.
uninstall:
	@sh packaging/install.sh uninstall '$(PREFIX)' '$(DESTDIR)'

$(LIBRARY):
	$(MAKE) lib

## Update the third-party notices, after a change of Cargo.lock.
notices:
	CARGO='$(CARGO)' python3 packaging/notices.py

## Update the table of sizes in docs/installation.md.
sizes:
	CARGO='$(CARGO)' python3 packaging/sizes.py

# For linux-x86_64, or for those of DIST; see packaging/dist.sh.
## Build the archives of a release in dist/, and sign their checksums with the key in WSABI_SIGN_KEY.
dist: setup-dist
	sh packaging/dist.sh $(DIST)

## Build the Python wheels with the libraries of `make dist`, and the sdist.
wheels: setup-dist
	sh packaging/wheels.sh $(DIST)

## Install what `make dist` and `make test-dist` need in build/dist/venv.
setup-dist:
	sh packaging/setup-dist.sh

## Build the archives of a release twice, compare them byte by byte, and build programs with them.
test-dist: setup-dist
	scripts/verify-dist $(DIST)
	mkdir -p dist && cp build/verify-dist/one/dist/* dist/
	sh tests/dist/check_archive.sh
	sh tests/dist/check_wheels.sh
	sh tests/dist/check_recipes.sh

# In the root `windows` of tests/root.sh, whose rustc has the sources of the standard library.
## Type-check the library for platforms that are not here, and run it in WebAssembly; statically with musl.
test-targets: setup-targets test-portable
	sh tests/targets/run.sh
	sh packaging/dist.sh linux-x86_64-musl
	sh packaging/wheels.sh linux-x86_64-musl
	sh tests/dist/check_linux.sh linux-x86_64-musl

## Make the roots and install the tools that `make test-targets` needs.
setup-targets: setup-dist
	sh tests/root.sh make windows
	sh tests/root.sh make web

# In the root `debian` of tests/root.sh, with the crates as a component that is generated.
## Make the Debian packages in build/deb.
deb: setup-deb
	sh packaging/deb.sh build

## Make the root that Debian packages are built in.
setup-deb:
	sh tests/root.sh make debian
	sh tests/root.sh make debian-fresh

## Make the Debian packages, check them, and use them in a fresh Debian.
test-deb: setup-deb
	sh tests/dist/check_deb.sh

# URL is where the archives are, or will be.
## Write a Conan recipe and a vcpkg port over the archives in dist/ to dist/recipes.
recipes:
	python3 packaging/recipes.py '$(URL)'

## Remove all build output.
clean:
	$(CARGO) clean
	rm -rf build dist
