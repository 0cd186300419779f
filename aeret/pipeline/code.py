"""Digest the code that decides a stage's result: its import closure."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import aeret
from aeret.artifacts import digest

PACKAGE = "aeret"
NAMES = "aeret.names"
# Neither changes a result: the values of the settings are in the key themselves, progress is only shown, and the two
# packages are doors that import what is asked for by name.
_LEFT_OUT = {"aeret", "aeret.stages", "aeret.progress"}
_LEFT_OUT_ROOMS = ("aeret.settings",)


def code_digest(module: str) -> str:
    """Return the digest of all code that a module may run.

    Args:
        module: dotted name, for example ``aeret.stages.embed``.
    """
    return digest({name: _compiled_digest(_source(name)) for name in sorted(closure(module))})


@lru_cache
def closure(module: str) -> frozenset[str]:
    """Return the modules of aeret that a module may import, itself included.

    Imports inside functions count; those under ``if TYPE_CHECKING`` do not run and do not count. A module that imports
    a registry from :mod:`aeret.names` may load every module that this registry names.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in _LEFT_OUT or name.startswith(_LEFT_OUT_ROOMS):
            continue
        found.add(name)
        waiting += _imported(name)
    return frozenset(found)


def imports(module: str, library: str) -> bool:
    """Return whether a module's closure imports a library, for example ``keras``."""
    return any(library in _libraries(name) for name in closure(module))


def _source(module: str) -> Path:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"{PACKAGE} has no source of the module {module}")
    return path


@lru_cache
def _path(module: str) -> Path | None:
    """Return the source of a module, or None if there is no such module; imports nothing."""
    parts = module.split(".")[1:]
    base = Path(aeret.__file__).parent.joinpath(*parts)
    candidates = (base / "__init__.py", base.with_suffix(".py") if parts else base)
    return next((path for path in candidates if path.is_file()), None)


@lru_cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


@lru_cache
def _compiled_digest(path: Path) -> str:
    """Digest bytecode, because compiling with ``optimize=2`` drops comments, docstrings and line numbers."""
    return digest(list(_facts(compile(_parsed(path), PACKAGE, "exec", dont_inherit=True, optimize=2))))


def _facts(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars))
    yield repr((code.co_flags, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount))
    yield code.co_exceptiontable.hex()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _facts(constant)
        elif isinstance(constant, frozenset):  # its order differs from process to process
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield all statements, nested ones too, but for those under ``if TYPE_CHECKING``."""
    for statement in body:
        yield statement
        guarded = isinstance(statement, ast.If) and getattr(statement.test, "id", "") == "TYPE_CHECKING"
        for field in ("body", "orelse", "finalbody"):
            if not (guarded and field == "body"):
                yield from _statements(getattr(statement, field, ()))
        for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            yield from _statements(part.body)


@lru_cache
def _imported(module: str) -> tuple[str, ...]:
    """Return the modules of aeret that a module imports, and the packages that hold them."""
    found: list[str] = []
    for statement in _statements(_parsed(_source(module)).body):
        if isinstance(statement, ast.Import):
            found += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            found += [statement.module, *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    if NAMES in found:
        # The names decide nothing themselves; the modules that a used registry refers to do.
        found = [name for name in found if name != NAMES and not name.startswith(f"{NAMES}.")]
        found += [each for name in _used_registries(_parsed(_source(module))) for each in _registered(name)]
    own = [name for name in found if name.split(".")[0] == PACKAGE]
    packages = {".".join(name.split(".")[:size]) for name in [*own, module] for size in range(1, name.count(".") + 2)}
    return tuple(sorted(name for name in packages if _path(name)))


@lru_cache
def _libraries(module: str) -> frozenset[str]:
    found: set[str] = set()
    for statement in _statements(_parsed(_source(module)).body):
        if isinstance(statement, ast.Import):
            found |= {alias.name.split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            found.add(statement.module.split(".")[0])
    return frozenset(found)


def _used_registries(tree: ast.Module) -> set[str]:
    """Return the registries that a module takes from :mod:`aeret.names`, by import or as an attribute."""
    found = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "names"
    }
    for statement in _statements(tree.body):
        if isinstance(statement, ast.ImportFrom) and statement.module == NAMES:
            found |= {alias.name for alias in statement.names}
    return found


def _registered(registry: str) -> list[str]:
    """Return the modules that a registry of :mod:`aeret.names` refers to."""
    import aeret.names

    return [each.partition(":")[0] for each in getattr(aeret.names, registry).values()]
