"""Peak memory of the evaluation at 117,266 gallery photos and 4,952 queries: the bar is 4 GiB.

``aeret.evaluation.evaluate`` runs in a process of its own on the true label sets of COCO 2017 (train as gallery, val as
queries), mask planes of 32 x 32 cells drawn from the true boxes, random embeddings of 256 dimensions and random
codes, k = 80 with one start. What is counted is the peak of resident memory of the whole process: interpreter, imports
and inputs (about 400 MiB) included. Takes one to two minutes on two quiet cores.
"""

from __future__ import annotations

import sys
import time

from benchmarks.measure import Row, peak_memory, report, skipped
from benchmarks.real_labels import folder

LIMIT_MIB = 4096
SIZE = 256
_CODE = "from benchmarks.bench_cluster_eval_memory import run\nprint(*run(int(arguments[0])), file=sys.stderr)"


def run(starts: int = 1) -> tuple[int, int, int]:
    """Evaluate random embeddings of real photos; return gallery size, queries and the estimate of memory in MiB."""
    import numpy as np

    from aeret.evaluation.evaluate import LayoutCodes, PhotoSet, evaluate
    from aeret.progress import terminal
    from aeret.rng import generator
    from aeret.settings.sections import ClusterSettings
    from benchmarks.real_labels import labels_of, planes_of

    rng = generator(0, "bench cluster-eval")
    sets = []
    for split in ("val", "train"):
        ids, labels = labels_of(split)
        vectors = rng.standard_normal((len(ids), SIZE), dtype=np.float32)
        sets.append(PhotoSet(ids, vectors, labels, planes_of(split)))
    queries, gallery = sets
    shape = (len(queries.ids), SIZE)
    codes = LayoutCodes(*(rng.standard_normal(shape, dtype=np.float32) for _ in range(2)))
    names = [f"category {c}" for c in range(queries.labels.shape[1])]
    settings = ClusterSettings(starts=starts, iterations=20)
    found = evaluate(queries, gallery, names, settings, 0, leave_one_out=False, codes=codes, progress=terminal)
    return len(gallery.ids), len(queries.ids), found.facts["memory_estimate_bytes"] // 2**20


def main() -> list[Row]:
    if folder() is None:
        return [skipped("evaluation, peak memory", "no real COCO labels (set AERET_DATA)")]
    began = time.perf_counter()
    before, peak = peak_memory("", _CODE, ["1"])
    return [
        {
            "what": "evaluate: peak memory of the process",
            "seconds": round(time.perf_counter() - began, 1),
            "empty process MiB": round(before),
            "peak MiB": round(peak),
            "bar": f"<= {LIMIT_MIB} MiB",
            "holds": peak <= LIMIT_MIB,
        }
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(run(int(sys.argv[1])))
    else:
        report(__file__, main())
