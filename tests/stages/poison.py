"""Prepared data whose query and gallery photos, labels and masks are spoiled: training must not notice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from aeret.data.prepared import Prepared


def poisoned(prepared: Path, to: Path) -> Path:
    """Copy prepared data and turn every pixel, label and mask cell of the query and gallery photos into its opposite.

    Returns:
        ``to``, which opens like the original.
    """
    shutil.copytree(prepared, to)
    splits = json.loads((to / "prepared.json").read_text())["splits"]
    places = {(splits[name]["source"], splits[name]["start"], splits[name]["stop"]) for name in ("query", "gallery")}
    for source, start, stop in places:
        folder = to / source
        planes = np.load(folder / "masks" / "offsets.npy")
        for path, first, last in (
            (folder / "photos.npy", start, stop),
            (folder / "labels.npy", start, stop),
            (folder / "masks" / "bits.npy", planes[start], planes[stop]),
        ):
            stored = np.load(path, mmap_mode="r+")
            np.invert(stored[first:last], out=stored[first:last])
            stored.flush()
    before, after = Prepared.open(prepared), Prepared.open(to)
    for name, share in (("train", 0.0), ("validation", 0.0), ("query", 1.0), ("gallery", 1.0)):
        one, two = before.split(name), after.split(name)
        for field in ("mapped", "labels"):
            assert (getattr(one, field) != getattr(two, field)).mean() == share
        assert (one.masks.bits != two.masks.bits).mean() == share
    return to
