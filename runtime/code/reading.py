"""What a function or class consists of, as text: its instructions and all that they name.

Instructions are read, not source: so comments, layout and line numbers do not count, what is loaded
is what is read even when its file has been edited since, and functions made by functions differ by
what they were made with. What they name is followed through the author's own modules; the standard
library, installed packages and this runtime are not read.

A value that can change while the program runs (a list, a client) counts as it is written in its
module, not as it happens to be.
"""

from __future__ import annotations

import dis
import inspect
import re
import sys
from enum import Enum
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from runtime.agent import Agent, Skill
from runtime.code.modules import as_written, file_of, is_foreign, is_foreign_class, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IMPORT = dis.opmap["IMPORT_NAME"]
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_MODULES = re.compile(r"\b(\w+\.)+(?=\w)")  # a module's name may be made of where its file is
_NAME = re.compile(r"[^\W\d]\w*")
_FUNCTIONS = (property, staticmethod, classmethod, FunctionType, MethodType)
_PLAIN = (str, int, float, complex, bool, bytes, type(None), type(...))
_OF_PYTHON = frozenset(("__dict__", "__weakref__", "__module__", "__firstlineno__"))


class Reading:
    """What was read of some code, and whom it names.

    Attributes:
        parts: the code, piece by piece, the same whenever it is the same code.
        named: the agents and skills that it names; they are not read here.
        words: the texts in it, which may be names of agents and skills.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.named: list[Agent | Skill] = []
        self.words: set[str] = set()
        self._seen: set[int] = set()
        self._places: set[tuple[str, str]] = set()

    def take(self, body: Any) -> None:
        """Read a function or class, wherever it is defined."""
        if isinstance(body, type):
            self._class(body, is_own=True)
        else:
            function = body if isinstance(body, FunctionType) else inspect.unwrap(body)
            self._function(function, is_own=True)

    def _value(self, value: Any, name: str, module: str) -> None:
        """Read what a name stands for in a module."""
        kind = type(value)  # isinstance would ask a proxy, which may not answer yet
        if issubclass(kind, Agent | Skill):
            self.named.append(value)
        elif is_plain(value):
            self._plain(name, value)
        elif issubclass(kind, type):
            self._class(value)
        elif issubclass(kind, partial):
            for each in (value.func, *value.args, *value.keywords.values()):
                self._value(each, name, module)
        elif issubclass(kind, _FUNCTIONS):
            for function in _functions_of(value):
                self._function(function)
        elif kind is not ModuleType:
            self._written(value, name, module)

    def _written(self, value: Any, name: str, module: str) -> None:
        """Read what is neither code nor immutable: what it wraps, or how it is written."""
        wrapped = inspect.getattr_static(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):  # by a cache, say
            self._function(wrapped)
            return
        found = as_written(module, name)
        if found is None or found in self._places:
            return
        self._places.add(found)
        where, text = found
        self.parts.append(f"{name} = {text}")
        scope = vars(sys.modules[where])
        for inner in dict.fromkeys(_NAME.findall(text)):
            self._name(inner, scope, [])

    def _plain(self, name: str, value: Any) -> None:
        self.parts.append(f"{name} = {_text(value)}")
        if isinstance(value, str):
            self.words.add(value)

    def _function(self, function: Any, *, is_own: bool = False) -> None:
        if not isinstance(function, FunctionType) or id(function) in self._seen:
            return
        if not is_own and is_foreign(function.__code__.co_filename):
            return
        self._seen.add(id(function))
        names = self._code(function.__code__, function.__globals__.get("__package__") or "")
        module, scope = function.__module__, function.__globals__
        for name, value in _given(function):
            self._value(value, name, module)
        for hint in function.__annotations__.values():
            self._hint(hint, scope)
        for name in names:
            self._name(name, scope, names)

    def _code(self, code: CodeType, package: str) -> list[str]:
        """Read instructions, and return the names in them, in order."""
        layout = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_varnames, code.co_names, code.co_freevars, code.co_cellvars)
        jumps = getattr(code, "co_exceptiontable", b"")
        self.parts.append(f"{layout} {names} {code.co_code.hex()} {jumps.hex()}")
        if _IMPORT in code.co_code[::2]:  # of a module that may not be loaded yet
            self.parts += [text for name in code.co_names if (text := text_of(name, package))]
        found = list(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                found += self._code(constant, package)
            else:
                self._plain("", constant)
        return found

    def _name(self, name: str, scope: Mapping[str, Any], names: list[str]) -> None:
        value = scope.get(name)
        if type(value) is ModuleType and not is_foreign(file_of(value)):
            for inner in dict.fromkeys(names):
                if inner in vars(value):
                    self._value(vars(value)[inner], inner, value.__name__)
        elif name in scope:
            self._value(value, name, str(scope.get("__name__")))

    def _hint(self, hint: Any, scope: Mapping[str, Any]) -> None:
        self.parts.append(hint if isinstance(hint, str) else _MODULES.sub("", _text(hint)))
        names = _NAME.findall(hint) if isinstance(hint, str) else []
        for value in (hint, *(scope[name] for name in names if name in scope)):
            if isinstance(value, type):
                self._class(value)
        for inner in get_args(hint):
            self._hint(inner, scope)

    def _class(self, cls: type, *, is_own: bool = False) -> None:
        if id(cls) in self._seen:
            return
        self._seen.add(id(cls))
        module = sys.modules.get(cls.__module__)
        if not is_own and is_foreign_class(cls, module):
            return
        self.parts.append(f"class {cls.__qualname__}")
        for base in cls.__mro__[1:]:
            self._class(base)
        if issubclass(cls, Enum):
            self.parts += [_text(member) for member in cls]
        if issubclass(cls, BaseModel):
            self.parts.append(_text(cls.model_config))
            for name, field in cls.model_fields.items():
                self.parts.append(f"{name}: {_text(field)}")
                self._hint(field.annotation, {})
        for hint in inspect.get_annotations(cls).values():
            self._hint(hint, vars(module) if module else {})
        for name, value in vars(cls).items():
            if name not in _OF_PYTHON and not name.startswith("__pydantic_"):
                self._value(value, name, "")


def is_plain(value: Any) -> bool:
    """Whether a value is immutable data."""
    if type(value) in (tuple, frozenset):
        return all(map(is_plain, value))
    return type(value) in _PLAIN or issubclass(type(value), Enum)


def _text(value: Any) -> str:
    if isinstance(value, frozenset):  # its order is another in each process
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return _ADDRESS.sub("", repr(value))


def _given(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the values that a function was made with: its defaults and what it encloses."""
    for value in function.__defaults__ or ():
        yield "default", value
    yield from (function.__kwdefaults__ or {}).items()
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # it is not filled yet
            continue


def _functions_of(value: Any) -> Iterator[Any]:
    if isinstance(value, property):
        yield from filter(None, (value.fget, value.fset, value.fdel))
    else:
        yield getattr(value, "__func__", value)
