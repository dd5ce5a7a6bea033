# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that hosts run for us: a file of the wing C(_host) with a function C(main), and the files that it imports.

Ansible would send a module instead, with its documentation, the options of playbooks, and C(ansible.module_utils.basic): several times
as much to build, to send and to read. A program is sent and run as modules are, see :meth:`HostAction.on_host`.

Private to the collection: no promise is made to other code.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import typing as t
import zlib
from pathlib import Path

PACKAGE = "ansible_collections.rstyczynski.ansible.plugins.module_utils"

SHORT = "jobs"
"""What the package is called on the host. Whatever is installed there as ansible_collections is something else."""

_PLACE = Path(__file__).parents[1] / "module_utils"

# It has to be understood by any Python: an old one is to say what is wrong with it.
_BOOT = r"""import sys
if sys.path and not sys.path[0]:
    del sys.path[0]  # the current directory, where a library could be anybody's
import base64, json, zlib
if sys.version_info < (3, 7):
    print(json.dumps({"failed": True, "msg": "Python 3.7 or newer is needed on the host, and %s is %s."
                      " Set ansible_python_interpreter." % (sys.executable, sys.version.split()[0])}))
    sys.exit(1)
import importlib
from importlib.machinery import ModuleSpec

def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)).decode("utf-8"))

class Importer:
    sources = unpacked("@SOURCES@")

    def find_spec(self, name, path=None, target=None):
        if name in self.sources or any(other.startswith(name + ".") for other in self.sources):
            return ModuleSpec(name, self, is_package=name not in self.sources)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.sources.get(module.__name__, ""), module.__name__, "exec", dont_inherit=True), module.__dict__)

sys.meta_path.insert(0, Importer())
from @SHORT@._errors import AsyncJobError
try:
    result = importlib.import_module("@SHORT@.@ENTRY@").main(**unpacked("@ARGUMENTS@"))
except AsyncJobError as error:
    result = {"failed": True, "msg": str(error)}
print(json.dumps(result))
"""


def program(entry: str, arguments: dict[str, t.Any]) -> bytes:
    """Return the text of a program, for any Python of the host.

    :arg entry: the file that has the function C(main), such as C(_host.cancel)
    :arg arguments: of that function, as JSON can hold them
    """
    return without_arguments(entry).replace("@ARGUMENTS@", _packed(arguments)).encode("ascii")


@functools.cache
def without_arguments(entry: str) -> str:
    """Return the text of a program that lacks only its arguments. It takes a while to make."""
    packed = _packed({f"{SHORT}.{name}": source.replace(PACKAGE, SHORT) for name, source in sources(entry).items()})
    return _BOOT.replace("@SHORT@", SHORT).replace("@ENTRY@", entry).replace("@SOURCES@", packed)


@functools.cache
def sources(entry: str) -> dict[str, str]:
    """Return the files of a program, by their names as modules, without what the interpreter passes over."""
    found: dict[str, str] = {}
    wanted = ["_errors", entry]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _source(name)
            wanted += _imported(found[name])
    return dict(sorted(found.items()))


@functools.cache
def _source(name: str) -> str:
    """Return a file without what the interpreter passes over. Several programs have it."""
    return _bare(_file(name).read_text("utf-8"))


def _file(name: str) -> Path:
    return _PLACE.joinpath(*name.split(".")).with_suffix(".py")


# Patterns instead of a parser, which would take longer than all that Ansible does for a task. They fit the files of the wing, as these are
# written here; a test compares what the interpreter makes of a file before and after.
_IMPORT = re.compile(rf"^from {re.escape(PACKAGE)}(?:\.([\w.]+))? import (.+)$", re.MULTILINE)
_COMMENT = re.compile(r"(?:^ *|  )# [^\n]*$", re.MULTILINE)
_DOCSTRING = re.compile(r'^( *)"""(?:[^"]|"(?!""))*"""$(\n+\1\S)?', re.MULTILINE)
_FUNCTION = re.compile(r"^( *def \w+\()((?:[^()]|\([^()]*\))*)\)(?: -> .+)?:$", re.MULTILINE)
_NAME = r"[\w.]+(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\])?"
_TYPE = re.compile(rf": {_NAME}(?: \| {_NAME})*(?:(?=,|$)| (=) )", re.MULTILINE)
_BODY = re.compile(r"^( *)def .*\n(?:\1 .*\n|\n)+", re.MULTILINE)
_VARIABLE = re.compile(rf"^( +[\w.]+): {_NAME}(?: \| {_NAME})*(?= = )", re.MULTILINE)
_CONSTANT = re.compile(rf"^(\w+): {_NAME}(?: \| {_NAME})*(?= = )", re.MULTILINE)
_FUTURE = re.compile("^from __future__ import annotations$", re.MULTILINE)
_TYPING = re.compile(r"^import typing as t$", re.MULTILINE)
_FIELD = re.compile(rf"^( +\w+): {_NAME}(?: \| {_NAME})*(?:$| (=) )", re.MULTILINE)
_NAMES = re.compile(r"^(from .+ import )\(\n((?: *\w+,\n)+)\)$", re.MULTILINE)
_FROM = re.compile(r"^(from [\w.]+ import )(.+)$", re.MULTILINE)
_WORD = re.compile(r"\w+")
# Outside of texts: around operators, behind commas and colons, and beside brackets
_BLANKS = re.compile(
    r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
    r"|( (?:[=!<>]=|[-+|]?=|[-+|*/%<>]) |, |: |(?<=[])}]) (?=[a-z])|(?<=[a-z]) (?=[({\[]))"
)
_INDENTATION = re.compile(r"^(?: {4})+", re.MULTILINE)


def _imported(source: str) -> t.Iterator[str]:
    """Yield the files of ours that a file imports."""
    for name, what in _IMPORT.findall(source):
        if name and _file(name).exists():
            yield name
        else:
            yield from (f"{name}.{alias}".lstrip(".") for alias in what.split(","))


def _bare(source: str) -> str:
    """Return a source without docstrings, comments, types, and most of its blanks. What is left stays on its line, for tracebacks."""
    source = _DOCSTRING.sub(_nothing, source)
    source = _COMMENT.sub("", source)
    source = _FUNCTION.sub(_untyped, source)
    source = _BODY.sub(lambda found: _VARIABLE.sub(r"\1", found[0]), source)
    source = _FUTURE.sub("", _CONSTANT.sub(r"\1", source))  # no types are left to be evaluated
    # That there is a type makes it a field of the class. Before Python 3.11, it has to be something that can be called.
    source = _FIELD.sub(r"\1: id\2", source)
    source = _without_types(_NAMES.sub(_on_one_line, source))
    source = _BLANKS.sub(lambda found: found[1].strip() if found[1] else found[0], source)
    if not re.search(r"\bt\.", source):
        source = _TYPING.sub("", source)
    return _INDENTATION.sub(lambda found: " " * (len(found[0]) // 4), source)


def _untyped(function: re.Match[str]) -> str:
    return function[1] + _TYPE.sub(lambda kind: kind[1] or "", function[2]).replace(", ", ",") + "):"


def _on_one_line(names: re.Match[str]) -> str:
    return names[1] + ", ".join(re.findall(r"\w+", names[2])) + "\n" * names[0].count("\n")


def _without_types(source: str) -> str:
    """Return a source without what it has imported for types that it has no more."""
    words = set(_WORD.findall(_FROM.sub("", source)))

    def needed(line: re.Match[str]) -> str:
        names = [name for name in line[2].split(", ") if name in words]
        return line[1] + ", ".join(names) if names else ""

    return _FROM.sub(needed, source)


def _nothing(docstring: re.Match[str]) -> str:
    """Return what stands for a docstring: nothing but its lines, unless it is all that there is."""
    lines, following = "\n" * docstring[0].count("\n"), docstring[2]
    return lines + following.lstrip("\n") if following else f'{docstring[1]}""{lines}'


def _packed(value: t.Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value).encode("ascii"), 9)).decode("ascii")
