"""Peak memory of the stages that see a whole collection, at 120,000 photos: the bar is 4 GiB.

Two to seven minutes on two cores and 6 GB of disk below TMPDIR, given back at the end. Each stage runs in a process of
its own; what counts is the sum of the proportional set sizes (PSS) of that process and its children, sampled ten times
a second, mapped files included. `python -m benchmarks.bench_memory 6000` tries it with fewer photos.

prepare: 120,000 image records over 300 JPEG files (one in ten 640 x 480, the others 160 x 120), 7.3 annotations each
with a polygon of 33 points, as in COCO train2017 (a 490 MB annotation file), stored at 112 px with masks of 32 cells.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from aeret.rng import generator
from benchmarks.measure import HERE, Row, markdown, report

PHOTOS = 120_000
LIMIT = 4.0  # GiB
_FILES = 300
_ANNOTATIONS = 7.3  # per photo
_POINTS = 33  # per polygon
_CATEGORIES = 80


def main(photos: int = PHOTOS) -> list[Row]:
    return [prepare_row(photos)]


def prepare_row(photos: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="aeret-memory-") as name:
        folder = Path(name)
        write_collection(folder, photos)
        peak, seconds = peak_of("run_prepare", folder)
    return row("prepare", photos, peak, seconds)


def row(stage: str, photos: int, peak: float, seconds: float) -> Row:
    return {
        "what": f"{stage}, {photos:,} photos: peak GiB",
        "aeret": peak,
        "bar": LIMIT,
        "ratio": LIMIT / peak,
        "holds": peak <= LIMIT,
        "seconds": seconds,
    }


def peak_of(function: str, folder: Path) -> tuple[float, float]:
    """Run a function of this file in a fresh process; return peak GiB of it and its children, and seconds."""
    command = [sys.executable, "-m", "benchmarks.bench_memory", function, str(folder)]
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=HERE.parent) as process:
        while process.poll() is None:
            peak = max(peak, sum(_pss(each) for each in _family(process.pid)))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return peak / 2**30, time.perf_counter() - start


def _family(process: int) -> list[int]:
    found = [process]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue
    return found


def _pss(process: int) -> int:
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it ended just now
        pass
    return 0


def write_collection(folder: Path, photos: int) -> None:
    """Write a COCO-format collection of ``photos`` records over a few hundred JPEG files, and its manifest."""
    rng = generator(0, "memory")
    (folder / "files").mkdir()
    (folder / "photos").mkdir()
    sizes = [(640, 480) if number % 10 == 0 else (160, 120) for number in range(_FILES)]
    for number, size in enumerate(sizes):
        noise = rng.integers(0, 256, (12, 16, 3), np.uint8)
        picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        grain = rng.integers(-16, 16, (size[1], size[0], 3))
        Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)).save(
            folder / "files" / f"{number}.jpg", quality=90
        )
    polygons = [_polygon(rng, *sizes[number]) for number in range(_FILES)]
    with (folder / "all.json").open("w") as file:
        file.write('{"images": [')
        for photo in range(photos):
            width, height = sizes[photo % _FILES]
            name = f"{photo:012d}.jpg"
            (folder / "photos" / name).hardlink_to(folder / "files" / f"{photo % _FILES}.jpg")
            file.write(
                f'{"," if photo else ""}\n{{"id":{photo},"file_name":"{name}","width":{width},"height":{height}}}'
            )
        file.write('],\n"annotations": [')
        counts = rng.poisson(_ANNOTATIONS - 1, photos) + 1
        categories = rng.integers(1, _CATEGORIES + 1, counts.sum()).tolist()
        owners = np.repeat(np.arange(photos), counts).tolist()
        for number, (photo, category) in enumerate(zip(owners, categories, strict=True)):
            file.write(
                f'{"," if number else ""}\n{{"id":{number},"image_id":{photo},"category_id":{category},"iscrowd":0,'
                f'"area":900.0,"bbox":[0,0,30,30],"segmentation":[{polygons[photo % _FILES]}]}}'
            )
        names = [{"id": number, "name": f"thing {number}"} for number in range(1, _CATEGORIES + 1)]
        file.write(f'],\n"categories": {json.dumps(names)}}}\n')
    (folder / "memory.yaml").write_text(
        "name: memory\ndescription: many photos\nsources: {all: {photos: photos, annotations: all.json}}\n"
        'splits: {train: {source: all, part: "0:0.9"}, query: {source: all, part: "0.9:0.95"}, '
        'gallery: {source: all, part: "0.95:1"}}\n'
    )


def _polygon(rng: np.random.Generator, width: int, height: int) -> str:
    turn = np.sort(rng.random(_POINTS)) * 2 * np.pi
    points = 0.5 + rng.uniform(0.2, 0.5, _POINTS)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return json.dumps(np.round(points * [width, height], 2).ravel().tolist(), separators=(",", ":"))


def run_prepare(folder: Path) -> None:
    from aeret.data.manifest import load_manifest
    from aeret.data.prepare import prepare
    from aeret.progress import terminal
    from aeret.settings import DataSettings

    (folder / "out").mkdir()
    metrics = prepare(load_manifest(folder / "memory.yaml"), DataSettings(), 0, folder / "out", terminal)
    print(metrics["photos"], file=sys.stderr)


RUN = {"run_prepare": run_prepare}

if __name__ == "__main__":
    if len(sys.argv) == 3:
        RUN[sys.argv[1]](Path(sys.argv[2]))
    elif len(sys.argv) == 2:
        print(markdown(main(int(sys.argv[1]))))
    else:
        report(__file__, main())
