"""Sphinx configuration: offline, warnings are errors."""

import aeret

project = "aeret"
author = "the aeret authors"
release = aeret.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click"]
html_theme = "furo"
html_title = f"aeret {release}"
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
# Attributes of several classes share names such as `size`; napoleon links them by name alone.
suppress_warnings = ["ref.python"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"


def _literals(kind: object) -> tuple[object, ...]:
    """Return the choices of a ``Literal``, also of one inside a tuple."""
    from typing import Literal, get_args, get_origin

    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(choice for part in get_args(kind) for choice in _literals(part))


def _settings_page() -> str:
    """Write every setting as a table, from the schema itself, so that the page cannot rot."""
    from pydantic import BaseModel

    from aeret.settings import Settings

    def rows(section: BaseModel, prefix: str) -> list[str]:
        lines = []
        for name, field in type(section).model_fields.items():
            value, kind = getattr(section, name), field.annotation
            if isinstance(value, BaseModel):
                lines += rows(value, f"{prefix}{name}.")
                continue
            named = [name for part in field.metadata for name in getattr(getattr(part, "func", None), "names", ())]
            choices = ", ".join(repr(each) for each in named or _literals(kind))
            text = " ".join((field.description or "").split()).replace("``", "`")
            choices = f"One of {choices}. " if choices else ""
            lines.append(f"| `{prefix}{name}` | `{value}` | {choices}{text} |".replace("'", "`"))
        return lines

    parts = ["# All settings", "", "Any of them can be set in a file (`--config`) or with `--set key=value`.", ""]
    settings = Settings()
    table = ["| setting | default | meaning |", "|---|---|---|"]
    parts += [*table, *(line for line in rows(settings, "") if "." not in line.split("`")[1]), ""]
    for name, section in settings:
        if isinstance(section, BaseModel):
            parts += [f"## {name}", "", " ".join((section.__doc__ or "").split()).replace("``", "`"), ""]
            parts += [*table, *rows(section, f"{name}."), ""]
    return "\n".join(parts)


def setup(app: object) -> None:
    """Generate pages before Sphinx reads the folder."""
    from pathlib import Path

    from aeret.evaluation.metrics import explain

    guide = Path(__file__).parent / "guide"
    (guide / "settings.md").write_text(_settings_page(), encoding="utf-8")
    (guide / "measures.inc").write_text(explain.guide(), encoding="utf-8")
