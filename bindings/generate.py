#!/usr/bin/env python3
"""Writes the tables of the bindings from include/wsabi.h: what constants there are, and what each function takes and gives.

It knows C declarations (by pycparser, after `cc -E`) and how each language spells them: one writer a language, at the end. It
knows nothing of what the functions mean. `make bindings` runs it; with --check it writes nothing, and fails where a committed
table is not what it would write.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from pycparser import c_ast, c_parser

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "wsabi.h"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a table is stale")
    check = parser.parse_args().check
    api = read(HEADER)
    stale = 0
    for path, write in WRITERS.items():
        old = path.read_text() if path.exists() else ""
        new = write(api)
        if old == new:
            continue
        stale += 1
        name = str(path.relative_to(ROOT))
        if check:
            print(f"stale: {name}; run `make bindings`", file=sys.stderr)
            sys.stderr.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, "generated"))
        else:
            path.write_text(new)
            print(f"written: {name}")
    return 1 if check and stale else 0


# What the header says, in terms that every language has.


@dataclass(frozen=True)
class Type:
    """A C type: `name` without const, `pointers` how many stars there are behind it."""

    name: str
    pointers: int = 0


@dataclass(frozen=True)
class Value:
    """A parameter of a function, or a field of a struct."""

    name: str
    type: Type


@dataclass(frozen=True)
class Function:
    """A function, or a type of callbacks."""

    name: str
    result: Type
    parameters: tuple[Value, ...]


@dataclass(frozen=True)
class Api:
    constants: dict[str, int]
    enums: dict[str, dict[str, int]]
    structs: dict[str, tuple[Value, ...]]  # the ones with fields; of the others there are only pointers
    handles: tuple[str, ...]
    callbacks: tuple[Function, ...]
    functions: tuple[Function, ...]


def read(header: Path) -> Api:
    """Reads the header as a C compiler sees it."""
    text = header.read_text()
    constants = {name: int(value) for name, value in re.findall(r"^#define (WS_\w+) (\d+)$", text, re.MULTILINE)}
    enums: dict[str, dict[str, int]] = {}
    structs: dict[str, tuple[Value, ...]] = {}
    handles: list[str] = []
    callbacks: list[Function] = []
    functions: list[Function] = []
    for node in c_parser.CParser().parse(preprocessed(text), str(header)).ext:
        declared = node.type if isinstance(node, (c_ast.Typedef, c_ast.Decl)) else None
        if not (node.name or "").startswith("ws_"):
            continue
        if isinstance(node, c_ast.Decl) and isinstance(declared, c_ast.FuncDecl):
            functions.append(function(node.name, declared))
        elif isinstance(declared, c_ast.PtrDecl) and isinstance(declared.type, c_ast.FuncDecl):
            callbacks.append(function(node.name, declared.type))
        elif isinstance(declared, c_ast.TypeDecl) and isinstance(declared.type, c_ast.Enum):
            enums[node.name] = {each.name: number(each.value) for each in declared.type.values.enumerators}
        elif isinstance(declared, c_ast.TypeDecl) and isinstance(declared.type, c_ast.Struct):
            fields = declared.type.decls
            if fields is None:
                handles.append(node.name)
            else:
                structs[node.name] = tuple(Value(field.name, type_of(field.type)) for field in fields)
    return Api(constants, enums, structs, tuple(handles), tuple(callbacks), tuple(functions))


def preprocessed(text: str) -> str:
    """The header after the preprocessor, with the few types of the system that it uses declared in a word each."""
    known = "typedef int int32_t, uint32_t, int64_t, uint64_t, uint16_t, uint8_t, size_t, ptrdiff_t;\n"
    text = known + re.sub(r"^#include <.*>$", "", text, flags=re.MULTILINE)
    compiler = os.environ.get("CC", "cc").split()
    return subprocess.run(
        [*compiler, "-E", "-P", "-x", "c", "-"], input=text, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def function(name: str, node: c_ast.FuncDecl) -> Function:
    parameters = [] if node.args is None else node.args.params
    named = [Value(each.name, type_of(each.type)) for each in parameters if isinstance(each, c_ast.Decl)]
    return Function(name, type_of(node.type), tuple(named))


def type_of(node: c_ast.Node, pointers: int = 0) -> Type:
    if isinstance(node, c_ast.PtrDecl):
        return type_of(node.type, pointers + 1)
    return Type(" ".join(node.type.names), pointers)


def number(node: c_ast.Node) -> int:
    if isinstance(node, c_ast.UnaryOp):
        return -number(node.expr) if node.op == "-" else number(node.expr)
    return int(node.value, 0)


# Python, by ctypes.

IN_PYTHON = {
    "void": "None",
    "char": "c_char",
    "int32_t": "c_int32",
    "uint32_t": "c_uint32",
    "int64_t": "c_int64",
    "uint64_t": "c_uint64",
    "uint16_t": "c_uint16",
    "uint8_t": "c_uint8",
    "size_t": "c_size_t",
    "ws_status_t": "c_int32",
    "ws_socket": "c_ssize_t",
}


def python(api: Api) -> str:
    lines = [
        '"""The constants, structs and functions of include/wsabi.h.',
        "",
        "Generated by bindings/generate.py: do not edit.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from ctypes import CFUNCTYPE, Structure",
        "from ctypes import c_char_p, c_int32, c_int64, c_size_t, c_ssize_t, c_uint16, c_uint32, c_uint64, c_void_p",
        "from enum import IntEnum",
        "from typing import Any",
        "",
    ]
    lines += [f"{name} = {value}" for name, value in api.constants.items()]
    for name, values in api.enums.items():
        lines += ["", "", f"class {python_class(name)}(IntEnum):", f'    """{name}"""', ""]
        prefix = "WS_" if name in ("ws_status", "ws_flag") else os.path.commonprefix(list(values))
        lines += [f"    {each.removeprefix(prefix)} = {value}" for each, value in values.items()]
    for name, fields in api.structs.items():
        lines += ["", "", f"class {python_class(name)}(Structure):", f'    """{name}"""', "", "    _fields_ = ["]
        lines += [f'        ("{field.name}", {python_type(api, field.type)}),' for field in fields]
        lines += ["    ]", ""]
        lines += [f"    {field.name}: {'int | None' if field.type.pointers else 'int'}" for field in fields]
        lines += ["", "", "# The same for the module struct.", f'{name.upper()}_FORMAT = "{python_format(fields)}"']
    lines += ["", ""]
    for callback in api.callbacks:
        types = [python_type(api, callback.result)] + [python_type(api, each.type) for each in callback.parameters]
        lines.append(f"{callback.name} = CFUNCTYPE({', '.join(types)})")
    lines += ["", "# Name, what it returns, what it takes. Strings are bytes; other pointers are addresses."]
    lines.append("FUNCTIONS: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (")
    for each in api.functions:
        types = [python_type(api, parameter.type) for parameter in each.parameters]
        taken = f"({', '.join(types)}{',' if len(types) == 1 else ''})"
        lines.append(f'    ("{each.name}", {python_type(api, each.result)}, {taken}),')
    lines += [")", ""]
    return "\n".join(lines)


def python_class(name: str) -> str:
    return name.removeprefix("ws_").capitalize()


def python_type(api: Api, type: Type) -> str:
    if type.name in [each.name for each in api.callbacks]:
        return type.name
    if type.pointers == 1 and type.name == "char":
        return "c_char_p"
    return "c_void_p" if type.pointers else IN_PYTHON[type.name]


def python_format(fields: tuple[Value, ...]) -> str:
    return "".join("P" if each.type.pointers else {"size_t": "N", "int32_t": "i"}[each.type.name] for each in fields)


# A language more is a writer more.
WRITERS: dict[Path, Callable[[Api], str]] = {
    ROOT / "bindings" / "python" / "src" / "wsabi" / "_tables.py": python,
}

if __name__ == "__main__":
    sys.exit(main())
