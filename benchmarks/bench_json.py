"""COCO JSON to columns, against ``pycocotools.COCO()``.

Both read the whole file and end with annotations findable by photo: aeret's ``read_collection`` and ``by_photo``, with
all its refusals of broken records; pycocotools' dictionaries and index. ``first`` reads the file; ``second`` opens the
columns that were kept from the first reading. Time is that of the call in a warm process, one thread both (neither has
use for a second one); memory the peak of a fresh process that imports, reads and exits, of which ``whole process`` is
the time, once. ``val size`` is 36,781 annotations of 5,000 photos resampled from real polygons and masks (see
``real_annotations.py``), ``20,000 photos`` four times that, a sixth of train2017; ``VOC`` has 22,105 full-size masks,
all RLE. In a fresh process a file below 32 MB (val size and VOC) is read without the kernel, because loading its
compiler would take more time and memory than it saves: its ``fresh`` rows show that way, its ``first`` row the
kernel's.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aeret.data.raster  # noqa: F401 (loads numba, as every stage that reads a collection does)
from aeret.data.collection import read_collection
from benchmarks.measure import Row, compare, peak_memory, real_data, report, skipped
from benchmarks.real_annotations import write_val_size

OURS = (
    "from pathlib import Path\nfrom aeret.data.collection import read_collection",
    "c = read_collection(Path(arguments[0]), cache={cache}); i = c.by_photo()",
)
PEER = ("from pycocotools.coco import COCO", "c = COCO(arguments[0])")
SETTLED = 2.1
"""seconds after which a file that was written is old enough for its columns to be kept"""


def main() -> list[Row]:
    data = real_data()
    if data is None:
        return [skipped("COCO JSON to columns", "no real data; set AERET_DATA")]
    with tempfile.TemporaryDirectory(prefix="aeret-json-") as name, cache_in(Path(name)):
        folder = Path(name)
        val, train = folder / "instances_val.json", folder / "instances_train.json"
        write_val_size(data, val)
        write_val_size(data, train, times=4)
        time.sleep(SETTLED)
        return [
            *rows("val size", val, rounds=9),
            *rows("20,000 photos", train, rounds=5),
            *rows("VOC", data / "voc_masks" / "instances_fullres.json", rounds=9),
        ]


@contextlib.contextmanager
def cache_in(folder: Path) -> Iterator[None]:
    """Keep columns in a folder that goes when the benchmark ends."""
    before = os.environ.get("AERET_CACHE")
    os.environ["AERET_CACHE"] = str(folder / "cache")
    try:
        yield
    finally:
        del os.environ["AERET_CACHE"]
        if before is not None:
            os.environ["AERET_CACHE"] = before


def rows(name: str, path: Path, rounds: int) -> list[Row]:
    from pycocotools.coco import COCO

    def ours(cache: bool) -> object:
        collection = read_collection(path, cache)
        return collection, collection.by_photo()

    def peer() -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            return COCO(str(path))

    found: list[Row] = []
    begin = time.perf_counter()
    peer_start, peer_peak = peak_memory(*PEER, [str(path)])
    peer_whole = time.perf_counter() - begin
    for which, cache in (("first", False), ("second", True)):
        timed = compare(lambda cache=cache: ours(cache), peer, rounds)
        begin = time.perf_counter()
        start, peak = peak_memory(OURS[0], OURS[1].format(cache=cache), [str(path)])
        whole = time.perf_counter() - begin
        found += [
            {
                "what": f"{name}, {path.stat().st_size / 1e6:.1f} MB, {which}: seconds",
                "aeret": timed.ours,
                "pycocotools": timed.peer,
                "ratio": timed.ratio,
                "range": f"{timed.low:.2g} to {timed.high:.2g}",
            },
            {
                "what": f"{name}, {which}, fresh: peak MiB",
                "aeret": peak,
                "pycocotools": peer_peak,
                "ratio": peer_peak / peak,
                "range": f"{start:.0f} and {peer_start:.0f} before",
            },
            {
                "what": f"{name}, {which}, fresh: seconds of the whole process",
                "aeret": whole,
                "pycocotools": peer_whole,
                "ratio": peer_whole / whole,
            },
        ]
    return found


if __name__ == "__main__":
    report(__file__, main())
