"""Re-rankers: what each costs, and what it does to P@10 and nDCG@10.

Each re-ranks the first 100 results of exhaustive search, with its default options, on one thread; ``ms`` is per query.
``P@10`` counts photos that share a label, ``nDCG@10`` has gain Jaccard; both are given as the search left them and as
re-ranked, with the 95 % bootstrap interval of the change of nDCG over queries.

``coco_mix`` is the gallery of the newest run of `pipelines/coco_mix.yaml` below AERET_RUNS (left out where there is
none): 682 photos, each searched among the others. The others are made: 300 kinds of photos around points on a sphere,
20,000 in the gallery, 500 asked, one label a photo. In ``clean`` nearly every first result is right. In ``noisy``
most are wrong, each in its own way. In ``backgrounds`` every photo also has one of 40 backgrounds, which weighs more
than its kind: most results are wrong, and alike.

``exact`` starts from the order of a product quantiser of 16 bytes a photo; it can at most give back what compression
took. ``dba`` has its neighbours found beforehand. ``rocchio`` is told which of the first five results share a label
with the query; both of its figures leave these five out. ``contextual`` was trained on 800 lists of train photos that
are neither queries nor gallery, 5 epochs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.normalise import l2_normalise
from aeret.evaluation.relevance import Truth, relevance
from aeret.evaluation.significance import bootstrap_interval
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers import RERANKERS, find_neighbours
from aeret.rng import generator
from aeret.training.contextual import ContextualNetwork, ContextualOptions, fit_contextual
from benchmarks.measure import Row, report
from benchmarks.real_run import Photos, newest_runs

TOP, AT, JUDGED, KINDS, TIMED = 100, 10, 5, 300, 200
LISTED, LISTS, EPOCHS = 127, 800, 5


@dataclass(frozen=True)
class Task:
    """Queries, what is searched, and photos to train on."""

    name: str
    queries: Photos
    gallery: Photos
    exclude: NDArray[np.int64]
    train: Photos

    @property
    def truth(self) -> Truth:
        """Return the labels."""
        return Truth(self.queries.labels, self.gallery.labels, self.exclude)


def made(name: str, noise: float, background: float = 0.0, queries: int = 500, gallery: int = 20_000) -> Task:
    rng = generator(0, "bench rerank")
    kinds, places = (l2_normalise(rng.standard_normal((count, 64))) for count in (KINDS, 40))

    def photos(count: int, first: int) -> Photos:
        kind, place = rng.integers(0, KINDS, count), rng.integers(0, len(places), count)
        vectors = kinds[kind] + background * places[place] + noise * rng.standard_normal((count, 64)) / 8
        return Photos(l2_normalise(vectors), np.arange(first, first + count), np.eye(KINDS, dtype=bool)[kind])

    asked, searched = photos(queries, 0), photos(gallery, 10**6)
    return Task(name, asked, searched, np.full(queries, -1), photos(2500, 2 * 10**6))


def real_tasks() -> list[Task]:
    return [
        Task(run.name, run.gallery, run.gallery, np.arange(len(run.gallery.ids)), run.train) for run in newest_runs()
    ]


def tasks() -> list[Task]:
    return [*real_tasks(), made("clean", 1.0), made("noisy", 2.2), made("backgrounds", 1.0, 1.2)]


def compressed(task: Task, found: Ranking) -> Ranking:
    """Return the order of a product quantiser."""
    index = faiss.index_factory(task.gallery.vectors.shape[1], "PQ16x6")
    index.train(task.train.vectors)
    index.add(task.gallery.vectors)
    distances, rows = index.search(task.queries.vectors, found.rows.shape[1] + 1)
    kept = rows != task.exclude[:, None]
    kept[kept.all(axis=1), -1] = False
    shape = found.rows.shape
    return replace(found, rows=rows[kept].reshape(shape), distances=np.sqrt(distances[kept].reshape(shape)))


def trained(task: Task) -> ContextualNetwork:
    asked = np.sort(generator(0, "bench rerank lists").permutation(len(task.train.vectors))[:LISTS])
    vectors, labels, every = task.train.vectors[asked], task.train.labels[asked], np.arange(len(asked))
    lists = exhaustive.search(vectors, vectors, LISTED, exclude=every).rows
    gains = relevance("jaccard", Truth(labels, labels, every)).at(every, lists)
    barred = np.union1d(task.queries.ids, task.gallery.ids)
    options = ContextualOptions(epochs=EPOCHS)
    return fit_contextual(vectors, task.train.ids[asked], lists, gains, barred, options)


class Judge:
    """P@10 and nDCG@10 of rankings of one task."""

    def __init__(self, task: Task) -> None:
        self.queries = np.arange(len(task.queries.ids))
        self.rules = {rule: relevance(rule, task.truth) for rule in ("any", "jaccard")}
        blocks = np.array_split(self.queries, len(self.queries) // 64 + 1)
        best = [-np.sort(-self.rules["jaccard"].gains(block), axis=1)[:, :AT] for block in blocks]
        self.ideal = discounted(np.concatenate(best))

    def gains(self, rule: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the gains of rows (q, n)."""
        return self.rules[rule].at(self.queries, np.ascontiguousarray(rows))

    def measure(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return P@10 and nDCG@10, float64 (q,); NaN for queries like which there is nothing."""
        skip = np.where(self.ideal > 0, 0.0, np.nan)
        found = discounted(self.gains("jaccard", rows[:, :AT])) / np.where(self.ideal > 0, self.ideal, 1)
        return (self.gains("any", rows[:, :AT]) > 0).mean(axis=1) + skip, found + skip


def discounted(gains: NDArray[np.float32]) -> NDArray[np.float64]:
    return (gains / np.log2(np.arange(2, gains.shape[1] + 2))).sum(axis=1)


def without(rows: NDArray[np.int64], judged: NDArray[np.int64]) -> NDArray[np.int64]:
    kept = (rows[:, :, None] != judged[:, None]).all(axis=2)
    return rows[kept].reshape(len(rows), -1)


def measured(task: Task) -> list[Row]:
    found = exhaustive.search(task.queries.vectors, task.gallery.vectors, TOP, exclude=task.exclude)
    judge = Judge(task)
    first = found.rows[:, :JUDGED]
    hits = judge.gains("any", first) > 0
    rows: list[Row] = []
    options: dict[str, dict[str, Any]] = {
        "rocchio": {
            "relevant": [each[hit] for each, hit in zip(first, hits, strict=True)],
            "non_relevant": [each[~hit] for each, hit in zip(first, hits, strict=True)],
        },
        "dba": {"neighbours": find_neighbours(task.gallery.vectors, 11), "exclude": task.exclude},
        "contextual": {"network": trained(task)},
    }
    for name, reranker in RERANKERS.items():
        before = compressed(task, found) if name == "exact" else found
        given = options.get(name, {})
        done = reranker.rerank(task.queries.vectors, before, task.gallery.vectors, top=TOP, **given)
        pairs = [each.rows for each in (before, done)]
        if name == "rocchio":
            pairs = [without(each, first) for each in pairs]
        (p_before, before_values), (p_after, after_values) = map(judge.measure, pairs)
        change = (after_values - before_values)[:, None]
        low, high = bootstrap_interval(change, generator(0, "bench rerank interval"))
        rows.append(
            {
                "what": f"{task.name}: {name}",
                "ms": timed(task, name, before, given),
                "P@10": float(np.nanmean(p_before)),
                "P@10 re-ranked": float(np.nanmean(p_after)),
                "nDCG@10": float(np.nanmean(before_values)),
                "nDCG@10 re-ranked": float(np.nanmean(after_values)),
                "change": float(np.nanmean(change)),
                "from": float(low[0]),
                "to": float(high[0]),
            }
        )
    return rows


def timed(task: Task, name: str, found: Ranking, given: dict[str, Any]) -> float:
    """Return milliseconds a query, the least of three."""
    part = slice(0, TIMED)
    some = Ranking(found.rows[part], found.distances[part], found.scanned[part], found.probes[part])
    few = {key: value[part] if isinstance(value, list | np.ndarray) else value for key, value in given.items()}
    queries = task.queries.vectors[part]
    times = []
    for _ in range(3):
        start = time.perf_counter()
        RERANKERS[name].rerank(queries, some, task.gallery.vectors, top=TOP, **few)
        times.append(time.perf_counter() - start)
    return min(times) / len(queries) * 1000


def main() -> list[Row]:
    return [row for task in tasks() for row in measured(task)]


if __name__ == "__main__":
    report(__file__, main())
