"""Load settings from YAML and ``key=value`` overrides."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from aeret.errors import SettingsError, UsageError
from aeret.settings.sections import Settings


def read_yaml(path: Path) -> CommentedMap:
    """Read one YAML 1.2 mapping; refuse duplicate keys.

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


def settings_from(
    tree: CommentedMap,
    overrides: Sequence[str] = (),
    source: str = "settings",
    values: Mapping[str, Any] | None = None,
) -> Settings:
    """Apply values, then ``section.key=value`` overrides, to a parsed settings tree, and validate.

    Args:
        tree: as :func:`read_yaml` returns it, without what is no setting.
        overrides: of ``--set``. The text is YAML, but where the setting is a text it is taken as it is.
        source: names ``tree`` in messages.
        values: dotted setting to its value, as a matrix gives it.

    Raises:
        SettingsError: lists every problem at once, each with its place and a did-you-mean.
    """
    tree_of_values = plain(tree)
    placed: dict[tuple[str, ...], str] = {}
    for key, value in (values or {}).items():
        place = f"{source}: matrix value {key}={value!r}"
        _assign(tree_of_values, tuple(key.split(".")), plain(value), place, placed)
    for text in overrides:
        keys, value = _parse_override(text)
        _assign(tree_of_values, keys, value, f"--set {text!r}", placed)
    settings: Settings = validated(Settings, tree_of_values, tree, source, placed)
    return settings


def validated(
    schema: type[Any],
    values: dict[str, Any],
    tree: CommentedMap,
    source: str,
    placed: dict[tuple[str, ...], str] | None = None,
) -> Any:
    """Validate ``values`` against a pydantic ``schema``; report every problem with its place.

    Args:
        schema: pydantic model.
        values: what to validate.
        tree: where they come from, for lines and columns.
        source: names ``tree``.
        placed: keys of values that come from elsewhere, to how a message names that place.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = [_explain(item, schema, tree, source, placed or {}) for item in error.errors()]
        raise SettingsError("\n".join(problems)) from None


def plain(value: Any) -> Any:
    """Return a parsed YAML value as plain Python types."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def override_keys(text: str) -> tuple[str, ...]:
    """Return the sections and the setting that ``section.key=value`` names.

    Raises:
        UsageError: there is no ``=`` or nothing before it.
    """
    key, sign, _ = text.partition("=")
    if not sign or not key.strip():
        raise UsageError(f"--set {text!r}: expected key=value, for example cnn.training.epochs=3.")
    return tuple(key.strip().split("."))


def _parse_override(text: str) -> tuple[tuple[str, ...], Any]:
    keys, value = override_keys(text), text.partition("=")[2].strip()
    try:
        parsed = YAML(typ="safe", pure=True).load(value) if value else ""
    except YAMLError:
        parsed = value
    # "my #1.yaml" is a file name, not "my" and a comment, and "007" no number; quotes are still YAML's.
    if _is_text(keys) and not (isinstance(parsed, str) and value[:1] in ("'", '"')):
        parsed = value
    return keys, parsed


def _is_text(keys: tuple[str, ...]) -> bool:
    kind: Any = Settings
    for key in keys:
        field = kind.model_fields.get(key) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        kind = field.annotation if field else None
    return kind is str


def _assign(
    values: dict[str, Any], keys: tuple[str, ...], value: Any, place: str, placed: dict[tuple[str, ...], str]
) -> None:
    node = values
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise SettingsError(f"{place}: {key!r} is a value, not a section.")
        node = child
    node[keys[-1]] = value
    placed[keys] = place


def _explain(
    item: Any, schema: type[BaseModel], tree: CommentedMap, source: str, placed: dict[tuple[str, ...], str]
) -> str:
    location = tuple(str(part) for part in item["loc"])
    dotted = ".".join(location) or "settings"
    # What checks a whole section names the values that do not go together.
    told = item["type"] == "extra_forbidden" or (item["type"] == "value_error" and isinstance(item["input"], dict))
    given = f" (got {item['input']!r})" if location and not told else ""
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "there is no such setting" + _near(location, schema)
    for keys, place in placed.items():
        if location[: len(keys)] == keys:
            return f"{place}: {dotted}: {message}{given}."
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
        if isinstance(node, CommentedMap) and key in (node.lc.data or {}):
            line, column = node.lc.key(key)
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            line, column = node.lc.item(int(key))  # type: ignore[attr-defined]
            key = int(key)  # type: ignore[assignment]
        else:
            break
        place = f"{source}:{line + 1}:{column + 1}"
        node = node[key]
    return place
