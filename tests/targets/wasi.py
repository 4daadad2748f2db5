"""Runs a program for WASI, with wasmtime. It has its standard output, a clock and random numbers, and neither files nor sockets.

    wasi.py PROGRAM
"""

import sys

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig

engine = Engine()
linker = Linker(engine)
linker.define_wasi()
wasi = WasiConfig()
wasi.inherit_stdout()
wasi.inherit_stderr()
wasi.argv = [sys.argv[1]]
store = Store(engine)
store.set_wasi(wasi)
program = linker.instantiate(store, Module.from_file(engine, sys.argv[1]))
try:
    program.exports(store)["_start"](store)
except ExitTrap as end:
    raise SystemExit(end.code)
