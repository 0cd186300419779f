"""The categories of a collection whose annotation files need not list the same ones, nor in the same order."""

from __future__ import annotations

from collections.abc import Mapping

from aeret.data.collection import Collection
from aeret.data.manifest import Manifest
from aeret.data.prepared import Category
from aeret.errors import DataError


def merged_categories(manifest: Manifest, collections: Mapping[str, Collection]) -> tuple[Category, ...]:
    """Return the categories of all sources, each once, by id.

    Args:
        manifest: whose sources they are, to name files.
        collections: source to what its annotation file holds.

    Raises:
        DataError: one id means two things.
    """
    found: dict[int, tuple[Category, str]] = {}
    for name, collection in collections.items():
        for number, text, group in zip(
            collection.category_ids.tolist(), collection.category_names, collection.supercategories, strict=True
        ):
            category = Category(number, text, group)
            known, first = found.setdefault(number, (category, name))
            if known != category:
                raise DataError(
                    f"{manifest.sources[name].annotations}: category {number} is {text!r} of {group!r}, but in "
                    f"{manifest.sources[first].annotations} it is {known.name!r} of {known.supercategory!r}; "
                    "sources of one manifest share their categories."
                )
    return tuple(found[number][0] for number in sorted(found))
