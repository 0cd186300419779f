"""Recall@10 against queries per second of every index, and of faiss' own where it has one, over 120,000 vectors.

The vectors, of 256 dimensions, are a mixture of 300 overlapping Gaussians scaled to length 1; 1,000 queries of the same
mixture are not among them. Recall@10 is the share of the ten exact results that are found. Each index is built as it
comes, and so is its peer in faiss, with as many lists, parts or bits; both are asked in batches, in turns, on 1 thread
and on 2. ``queries`` are those of a point, fewer where all would take long: then recall is rough. An index that has
used up its time leaves out the knobs before the last, and says so. ``opq`` learns its rotation in 10 rounds, its peer
in the 50 of faiss, of as many vectors. For ``cluster-first`` the peer reads as many inverted lists as
it visits clusters. ``lsh`` stands beside `IndexLSH` with two bits a dimension, which compares every code whatever the
knob. Binary codes are 64 signs (ITQ) of the vectors; their recall is that of the vectors, so it shows what the signs
lose. faiss has no trees and no index of one codebook: their peer is left out. ``ratio`` is queries per second over the
peer's at the same knob: the price, where it is below 1, of results that do not depend on batch or threads, with ties by
id and never one short.

![recall and queries per second](indexes.svg)
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from matplotlib.figure import Figure

from aeret.cores import cores
from aeret.retrieval.indexes import INDEXES, Index
from aeret.retrieval.indexes.index import EVERYTHING
from aeret.retrieval.sign_codes import fit_sign_codes
from benchmarks.measure import RESULTS, Row, compare, markdown, report
from benchmarks.vectors import VECTORS, mixture

QUERIES, FOUND, THREADS = 1000, 10, (1, 2)
BITS = 64
_SECONDS, _ROUNDS = 0.25, 3
"""Seconds of one call, of ours and the peer together, that choose the number of queries; and calls of each."""
_KIND_SECONDS, _ALL_SECONDS = 40, 540
"""Seconds of searches after which an index leaves out knobs; fewer where all would take longer than the second."""
Knobs = dict[str, Any]
Search = Callable[[Any, Knobs], np.ndarray]
"""(queries, knobs) -> ids int64 (q, FOUND)."""


def points(kind: type[Index]) -> Iterator[Knobs]:
    """Every value of the knob with most values, the others as they come; and each word of a knob that is a word."""
    ladder = max(kind.KNOBS, key=lambda name: len(kind.KNOBS[name]), default=None)
    for name, values in kind.KNOBS.items():
        if isinstance(values[0], str):
            yield from ({name: value} for value in values if value != kind.DEFAULTS[name])
    yield from [{ladder: value} for value in kind.KNOBS[ladder]] if ladder else [{}]


def peer(index: Index, vectors: Any) -> Search | None:
    """Return the search of faiss' own index of the same kind, built of the same vectors."""
    width, options = index.width, index.options
    lists = options.get("lists") or options.get("clusters")
    made: Any = None
    if index.name == "flat":
        made = faiss.IndexFlatL2(width)
    elif index.name in ("ivf-flat", "cluster-first"):
        made = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, lists)
    elif index.name == "ivf-pq":
        made = faiss.IndexIVFPQ(faiss.IndexFlatL2(width), width, lists, options["parts"], options["bits"])
    elif index.name == "pq":
        made = faiss.IndexPQ(width, options["parts"], options["bits"])
    elif index.name == "opq":
        made = faiss.index_factory(width, f"OPQ{options['parts']},PQ{options['parts']}")
        # As many as ours; its default of 65,536 takes minutes. Its 50 rounds stay.
        faiss.downcast_VectorTransform(made.chain.at(0)).max_train_points = 16_384
    elif index.name == "sq":
        made = faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_8bit)
    elif index.name == "lsh":
        made = faiss.IndexLSH(width, 2 * width)
    elif index.name == "binary-flat":
        made = faiss.IndexBinaryFlat(8 * width)
    elif index.name == "binary-multi":
        made = faiss.IndexBinaryMultiHash(8 * width, width // 2, 16)
    if made is None:
        return None
    if not made.is_trained:
        made.train(vectors)
    made.add(vectors)

    def search(queries: Any, knobs: Knobs) -> np.ndarray:
        for name, given in (
            ("nprobe", knobs.get("nprobe", knobs.get("min_probes", 1))),
            ("nflip", knobs.get("radius", 0)),
        ):
            if hasattr(made, name):
                setattr(made, name, int(min(given, lists or 3)))
        return np.asarray(made.search(queries, FOUND)[1])

    return search


def recall(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / FOUND for a, b in zip(found, true, strict=True)]))


def curve(
    index: Index, peers: Search | None, queries: Any, true: np.ndarray, seconds: float, allowed: float
) -> Iterator[Row]:
    begun, ladder, left_out = time.perf_counter(), list(points(type(index))), []
    for knobs in ladder:
        if time.perf_counter() - begun > allowed and knobs is not ladder[-1]:
            left_out.append(named(knobs))
            continue

        def ours(some: Any, threads: int, knobs: Knobs = knobs) -> np.ndarray:
            return index.search(some, FOUND, threads=threads, **knobs).rows

        # faiss' hash has no exact end of the ladder.
        matched = peers is not None and not (index.name == "binary-multi" and EVERYTHING in knobs.values())
        faiss.omp_set_num_threads(1)
        ours(queries[:2], 1)  # compiles
        start = time.perf_counter()
        ours(queries[:16], 1)
        if peers and matched:
            peers(queries[:16], knobs)
        count = int(np.clip(16 * 2 * _SECONDS / (time.perf_counter() - start), 16, len(queries)))
        asked = queries[:count]
        row: Row = {"what": index.name, "knob": named(knobs), "queries": count}
        row["recall@10"] = recall(ours(asked, 0), true[:count])
        row["faiss recall@10"] = recall(peers(asked, knobs), true[:count]) if peers and matched else ""
        for threads in THREADS:
            faiss.omp_set_num_threads(threads)
            other = (lambda knobs=knobs, asked=asked: peers(asked, knobs)) if peers and matched else (lambda: None)
            times = compare(lambda asked=asked, threads=threads: ours(asked, threads), other, rounds=_ROUNDS)
            row[f"q/s, {threads} thr."] = count / times.ours
            row[f"faiss q/s, {threads} thr."] = count / times.peer if matched else ""
            row[f"ratio, {threads} thr."] = times.ratio if matched else ""
        yield {**row, "bytes a vector": index.bytes_per_vector, "build s": seconds}
    if left_out:
        yield {"what": index.name, "knob": f"left out for time: {'; '.join(left_out)}"}


def named(knobs: Knobs) -> str:
    return ", ".join(f"{key} = {'all' if value == EVERYTHING else value}" for key, value in knobs.items())


def main(vectors: int = VECTORS, plot: Path = RESULTS / "indexes.svg", kinds: tuple[str, ...] = ()) -> list[Row]:
    begun = time.perf_counter()

    def say(what: str) -> None:
        passed = int(time.perf_counter() - begun)
        print(f"[{passed // 60}:{passed % 60:02}] {what}", file=sys.stderr, flush=True)

    whole = mixture(vectors + QUERIES)
    gallery, queries = whole[:vectors], whole[vectors:]
    signs = fit_sign_codes(gallery, BITS, seed=0)
    codes, asked = signs.encode(gallery), signs.encode(queries)
    true = INDEXES["flat"].build(gallery, metric="euclidean").search(queries, FOUND).rows
    rows: list[Row] = []
    failed: list[str] = []
    kinds = kinds or tuple(INDEXES)
    for number, name in enumerate(kinds, 1):
        given = (codes, asked) if "hamming" in INDEXES[name].METRICS else (gallery, queries)
        say(f"{name} ({number} of {len(kinds)})")
        left = _ALL_SECONDS - (time.perf_counter() - begun)
        allowed = min(_KIND_SECONDS, left / (len(kinds) - number + 1))
        try:
            for row in measured(name, *given, true, allowed, say):
                say(
                    "  "
                    + " | ".join(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values())
                )
                rows.append(row)
        except Exception as error:  # noqa: BLE001 - the other kinds are measured all the same
            traceback.print_exc()
            failed.append(name)
            rows.append({"what": name, "knob": f"failed: {type(error).__name__}"})
        finally:
            faiss.omp_set_num_threads(cores())
    plot.parent.mkdir(exist_ok=True)
    draw([row for row in rows if "recall@10" in row], plot)
    say(f"failed: {', '.join(failed)}" if failed else "done")
    return rows


def measured(
    name: str, vectors: Any, queries: Any, true: np.ndarray, allowed: float, say: Callable[[str], None]
) -> Iterator[Row]:
    """Build an index and its peer, and yield the rows of the index."""
    start = time.perf_counter()
    index = INDEXES[name].build(vectors, metric="hamming" if vectors.dtype == np.uint8 else "euclidean")
    seconds = time.perf_counter() - start
    say(f"  built in {seconds:.1f} s; now its peer")
    yield from curve(index, peer(index, vectors), queries, true, seconds, allowed)


def draw(rows: list[Row], path: Path) -> None:
    """One panel a number of threads: ours in full lines, faiss' in broken ones of the same colour."""
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    names = list(dict.fromkeys(str(row["what"]) for row in rows))
    for panel, threads in zip(figure.subplots(1, len(THREADS), sharey=True), THREADS, strict=True):
        for number, name in enumerate(names):
            here = [row for row in rows if row["what"] == name and not str(row["knob"]).startswith("order")]
            style = {"color": f"C{number % 10}", "marker": "os^DvPX"[number % 3 + number // 10]}
            panel.plot(
                [row["recall@10"] for row in here], [row[f"q/s, {threads} thr."] for row in here], **style, label=name
            )
            there = [row for row in here if row["faiss recall@10"] != ""]
            recalls, speeds = ([row[key] for row in there] for key in ("faiss recall@10", f"faiss q/s, {threads} thr."))
            panel.plot(recalls, speeds, **style, linestyle="--", markerfacecolor="white", alpha=0.6)
        # Stretched towards 1, where the choice is made.
        panel.set_xscale("function", functions=(lambda r: 1 - np.cbrt(1 - r), lambda x: 1 - (1 - x) ** 3))
        panel.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.96, 0.99, 0.999, 1])
        panel.tick_params(axis="x", rotation=60)
        panel.set(yscale="log", xlabel="recall@10", title=f"{threads} thread{'s' * (threads > 1)}")
        panel.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("queries per second")
    figure.axes[-1].plot([], [], "k--", marker="o", markerfacecolor="white", alpha=0.6, label="faiss' own")
    figure.legend(*figure.axes[-1].get_legend_handles_labels(), loc="outside right center")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a number of vectors, then perhaps kinds: a trial, of which no result is kept
        trial = main(
            int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path("indexes.png"), tuple(sys.argv[3:])
        )
        print(markdown(trial))
    else:
        report(__file__, main())
