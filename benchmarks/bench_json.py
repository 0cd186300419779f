"""COCO JSON to columns, against ``pycocotools.COCO()``.

Both read the whole file and end with annotations findable by photo: aeret's ``read_collection`` and ``by_photo``, with
all its refusals of broken records; pycocotools' dictionaries and index. Time is that of the call in a warm process;
memory the peak of a fresh process that imports, reads and exits. ``val size`` is 36,781 annotations of 5,000 photos
resampled from real polygons and masks (see ``real_annotations.py``); ``VOC`` has 22,105 full-size masks, all RLE.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from aeret.data.collection import read_collection
from benchmarks.measure import Row, compare, peak_memory, real_data, report, skipped
from benchmarks.real_annotations import write_val_size

OURS = (
    "from pathlib import Path\nfrom aeret.data.collection import read_collection",
    "c = read_collection(Path(arguments[0])); i = c.by_photo()",
)
PEER = ("from pycocotools.coco import COCO", "c = COCO(arguments[0])")


def main() -> list[Row]:
    data = real_data()
    if data is None:
        return [skipped("COCO JSON to columns", "no real data; set AERET_DATA")]
    with tempfile.TemporaryDirectory(prefix="aeret-json-") as folder:
        val = Path(folder) / "instances_val.json"
        write_val_size(data, val)
        return rows("val size", val) + rows("VOC", data / "voc_masks" / "instances_fullres.json")


def rows(name: str, path: Path) -> list[Row]:
    from pycocotools.coco import COCO

    def ours() -> object:
        collection = read_collection(path)
        return collection, collection.by_photo()

    def peer() -> object:
        with contextlib.redirect_stdout(io.StringIO()):
            return COCO(str(path))

    time = compare(ours, peer, rounds=9)
    our_start, our_peak = peak_memory(*OURS, [str(path)])
    peer_start, peer_peak = peak_memory(*PEER, [str(path)])
    size = f"{name}, {path.stat().st_size / 1e6:.1f} MB"
    return [
        {
            "what": f"{size}: seconds",
            "aeret": time.ours,
            "pycocotools": time.peer,
            "ratio": time.ratio,
            "range": f"{time.low:.2g} to {time.high:.2g}",
        },
        {
            "what": f"{size}: peak MiB",
            "aeret": our_peak,
            "pycocotools": peer_peak,
            "ratio": peer_peak / our_peak,
            "range": f"{our_start:.0f} and {peer_start:.0f} before",
        },
    ]


if __name__ == "__main__":
    report(__file__, main())
