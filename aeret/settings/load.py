"""From a YAML file and ``key=value`` overrides to validated settings; errors name file, line and column."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from aeret.errors import SettingsError, UsageError
from aeret.settings.sections import Settings


def read_yaml(path: Path) -> CommentedMap:
    """Read one YAML 1.2 mapping; duplicate keys and syntax errors are refused with their place.

    Raises:
        SettingsError: the file is missing, is no mapping, or does not parse.
    """
    yaml = YAML(typ="rt")
    try:
        value = yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; give the path of a YAML file.") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a folder; give the path of a YAML file.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = " ".join(str(error.problem or error.context or "not valid YAML").split())
        raise SettingsError(f"{place}: {problem}.") from None
    except YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}.") from None
    if value is None:
        return CommentedMap()
    if not isinstance(value, CommentedMap):
        raise SettingsError(f"{path}: expected a mapping of settings, got {type(value).__name__}.")
    return value


def settings_from(tree: CommentedMap, overrides: Sequence[str] = (), source: str = "settings") -> Settings:
    """Apply ``section.key=value`` overrides (YAML values) to a parsed settings tree, and validate.

    Raises:
        SettingsError: lists every problem at once, each with its place and a did-you-mean.
    """
    plain = _plain(tree)
    placed: dict[tuple[str, ...], str] = {}
    for text in overrides:
        keys, value = _parse_override(text)
        placed[keys] = text
        _assign(plain, keys, value, text)
    settings: Settings = validated(Settings, plain, tree, source, placed)
    return settings


def validated(
    schema: type[Any],
    plain: dict[str, Any],
    tree: CommentedMap,
    source: str,
    placed: dict[tuple[str, ...], str] | None = None,
) -> Any:
    """Validate ``plain`` against a pydantic ``schema``; report every problem with its place in ``tree``."""
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        problems = [_explain(item, schema, tree, source, placed or {}) for item in error.errors()]
        raise SettingsError("\n".join(problems)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _parse_override(text: str) -> tuple[tuple[str, ...], Any]:
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set {text!r}: expected key=value, for example cnn.training.epochs=3.")
    try:
        parsed = YAML(typ="safe", pure=True).load(value) if value.strip() else ""
    except YAMLError:
        parsed = value
    return tuple(key.strip().split(".")), parsed


def _assign(plain: dict[str, Any], keys: tuple[str, ...], value: Any, text: str) -> None:
    node = plain
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise SettingsError(f"--set {text!r}: {key!r} is a value, not a section.")
        node = child
    node[keys[-1]] = value


def _explain(
    item: Any, schema: type[BaseModel], tree: CommentedMap, source: str, placed: dict[tuple[str, ...], str]
) -> str:
    location = tuple(str(part) for part in item["loc"])
    dotted = ".".join(location) or "settings"
    given = f" (got {item['input']!r})" if item["type"] != "extra_forbidden" and location else ""
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "there is no such setting" + _near(location, schema)
    for keys, text in placed.items():
        if location[: len(keys)] == keys:
            return f"--set {text!r}: {dotted}: {message}{given}."
    return f"{_place(location, tree, source)}: {dotted}: {message}{given}."


def _near(location: tuple[str, ...], schema: type[BaseModel]) -> str:
    fields = schema.model_fields
    for key in location[:-1]:
        field = fields.get(key)
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return ""
        fields = kind.model_fields
    near = difflib.get_close_matches(location[-1], fields, n=1)
    return f", did you mean {near[0]!r}?" if near else f"; known here: {', '.join(fields)}"


def _place(location: tuple[str, ...], tree: Any, source: str) -> str:
    place = source
    node = tree
    for key in location:
        if isinstance(node, CommentedMap) and key in node:
            line, column = node.lc.key(key)
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            line, column = node.lc.item(int(key))  # type: ignore[attr-defined]
            key = int(key)  # type: ignore[assignment]
        else:
            break
        place = f"{source}:{line + 1}:{column + 1}"
        node = node[key]
    return place
