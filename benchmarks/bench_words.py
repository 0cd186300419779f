"""Visual words beside exhaustive search: what each costs, and its P@10 and nDCG@10.

Words are learnt on train photos, in vocabularies of 64, 256 and 1,024 (fewer where there are fewer photos), and a photo
has its 5 nearest of each. BM25 and the vector space model (VSM) rank photos by the words they share with the query,
through an inverted index; exhaustive search compares the whole embeddings. ``ms`` is per query, on one thread, with
the query's words found first; ``share scored`` is the share of the gallery that has a word of the query. ``P@10``
counts photos that share a label, ``nDCG@10`` has gain Jaccard; ``change`` is in nDCG against exhaustive search, with
its 95 % bootstrap interval over queries.

``coco_mix`` is the gallery of the newest run of `pipelines/coco_mix.yaml` below AERET_RUNS (left out where there is
none), each photo searched among the others. The others are made, as in `bench_rerank.py`: 300 kinds of photos around
points on a sphere, 20,000 in the gallery, 500 asked. In ``clean`` nearly every first result is right, in ``noisy`` most
are wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from aeret.evaluation.significance import bootstrap_interval
from aeret.retrieval import exhaustive
from aeret.retrieval.bm25 import Bm25
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.vsm import VectorSpace
from aeret.retrieval.words import learn_words
from aeret.rng import generator
from benchmarks.bench_rerank import AT, Judge, Task, made, real_tasks
from benchmarks.measure import Row, report

SIZES, NEAREST, ROUNDS = (64, 256, 1024), 5, 3


def measured(task: Task) -> list[Row]:
    queries, gallery, train = task.queries.vectors, task.gallery.vectors, task.train.vectors
    words = learn_words(train, [min(size, len(train)) for size in SIZES], NEAREST)
    bags = words.bags(gallery)
    bm25, vsm = Bm25.build(bags), VectorSpace.build(bags)
    searches: dict[str, Callable[[], Ranking]] = {
        "exhaustive": lambda: exhaustive.search(queries, gallery, AT, exclude=task.exclude, threads=1),
        "BM25": lambda: bm25.search(words.bags(queries), AT, task.exclude, threads=1),
        "VSM": lambda: vsm.search(words.bags(queries), AT, task.exclude, threads=1),
    }
    found = {name: search() for name, search in searches.items()}
    times: dict[str, list[float]] = {name: [] for name in searches}
    for _ in range(ROUNDS):  # in turns, so that a machine that gets slower does so to all
        for name, search in searches.items():
            start = time.perf_counter()
            search()
            times[name].append(time.perf_counter() - start)
    judge = Judge(task)
    whole = judge.measure(found["exhaustive"].rows)[1]
    rows: list[Row] = []
    for name, ranking in found.items():
        precision, values = judge.measure(ranking.rows)
        change = (values - whole)[:, None]
        low, high = bootstrap_interval(change, generator(0, "bench words interval"))
        rows.append(
            {
                "what": f"{task.name}: {name}",
                "ms": min(times[name]) / len(queries) * 1000,
                "share scored": float(ranking.scanned.mean() / len(gallery)),
                "P@10": float(np.nanmean(precision)),
                "nDCG@10": float(np.nanmean(values)),
                "change": float(np.nanmean(change)),
                "from": float(low[0]),
                "to": float(high[0]),
            }
        )
    return rows


def main() -> list[Row]:
    return [row for task in [*real_tasks(), made("clean", 1.0), made("noisy", 2.2)] for row in measured(task)]


if __name__ == "__main__":
    report(__file__, main())
