"""Peak memory of the stages that see a whole collection, at 120,000 photos: the bar is 4 GiB.

Each stage runs alone in a process of its own, by the function that the command line calls. What counts is the larger of
two peaks: that of the resident memory of this process (VmHWM), and that of the sum of the proportional set sizes of it
and its children, sampled ten times a second. Interpreter, imports and mapped files are in both. In neither are `aeret
run` itself and the process in which it loads Keras for the next stage meanwhile, about 0.75 GB.

prepare: 120,000 image records over 300 JPEG files (one in ten 640 x 480, the others 160 x 120), 7.3 annotations each
with a polygon of 33 points, as in COCO train2017 (a 490 MB annotation file), stored at 112 px with masks of 32 cells.

embed: a gallery of 120,000 prepared photos of 112 px (a file of 4.5 GB) and 4,952 queries, through an untrained
alexnet-small-bn at 64 px, to embeddings and codes of 256 dimensions and 80 label scores.

cluster-eval: the true labels of COCO 2017 and masks of 32 x 32 cells drawn from its true boxes, 4,952 val photos as
queries, the 117,266 labelled train photos as gallery, the first of them twice so that there are 120,000; random
embeddings and codes of 256 dimensions, thumbnails of noise; default settings, that is 80 clusters from the best of
three starts; the report with decoded layouts included.

Ten to twenty minutes on two cores and 6 GB of disk below TMPDIR, given back at the end.
`python -m benchmarks.bench_memory 6000 embed` tries it with fewer photos, or with some of the stages.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aeret.settings import CnnSettings, DataSettings, Settings
from benchmarks import many_photos
from benchmarks.measure import Row, markdown, peak_of_processes, report, skipped
from benchmarks.real_labels import folder as real_labels

PHOTOS = 120_000
QUERIES = 4_952
LIMIT = 4.0  # GiB
_THUMBNAIL = 32


def prepare(folder: Path, photos: int) -> Settings:
    many_photos.write_collection(folder, photos)
    return Settings(data=DataSettings(manifest=str(folder / "memory.yaml")))


def embed(folder: Path, photos: int) -> Settings:
    settings = Settings(cnn=CnnSettings(backbone="alexnet-small-bn", input_size=64))
    splits = {"query": min(QUERIES, photos), "gallery": photos}
    made = {name: many_photos.plain(count, settings.data.mask_size) for name, count in splits.items()}
    many_photos.write_prepared(folder / "prepare", made, settings.data.photo_size)
    many_photos.write_joint(folder / "train-cnn", settings)
    return settings


def cluster_eval(folder: Path, photos: int) -> Settings:
    settings = Settings()
    cells = settings.data.mask_size
    made = {
        "query": many_photos.real("val", min(QUERIES, photos), cells),
        "gallery": many_photos.real("train", photos, cells),
    }
    counts = {name: len(split[0]) for name, split in made.items()}
    many_photos.write_prepared(folder / "prepare", made, _THUMBNAIL)
    many_photos.write_embeddings(folder / "embed", settings, counts)
    many_photos.write_encoder(folder / "encode-masks", settings, counts["query"])
    for stage in ("prepare", "train-ae", "encode-masks", "train-cnn", "embed"):
        many_photos.write_record(folder / stage)
    return settings


STAGES = {"prepare": prepare, "embed": embed, "cluster-eval": cluster_eval}
"""Stage to what writes its inputs into a folder and returns its settings."""


def main(photos: int = PHOTOS, stages: Sequence[str] = tuple(STAGES)) -> list[Row]:
    return [_row(stage, photos) for stage in stages]


def _row(stage: str, photos: int) -> Row:
    what = f"{stage}, {photos:,} photos: peak GiB"
    if stage == "cluster-eval" and real_labels() is None:
        return skipped(what, "no real COCO labels (set AERET_DATA)")
    with tempfile.TemporaryDirectory(prefix="aeret-memory-") as name:
        folder = Path(name)
        settings = STAGES[stage](folder, photos)
        (folder / "settings.json").write_text(settings.model_dump_json())
        peak, seconds = peak_of_processes([sys.executable, "-m", "benchmarks.run_stage", stage, name])
    gib = peak / 1024
    return {
        "what": what,
        "aeret": gib,
        "bar": LIMIT,
        "ratio": LIMIT / gib,
        "holds": gib <= LIMIT,
        "seconds": round(seconds),
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        chosen = [argument for argument in sys.argv[1:] if not argument.isdigit()]
        numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
        print(markdown(main(numbers[0] if numbers else PHOTOS, chosen or tuple(STAGES))))
    else:
        report(__file__, main())
