"""Build the section of clusters: sizes, pairwise P, R and F, and photos (the paper's Fig. 4)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.evaluation.result import Evaluation
from aeret.reporting.inputs import ReportInputs, Split
from aeret.reporting.pictures import thumbnail
from aeret.reporting.plots.cluster_sizes import cluster_sizes
from aeret.reporting.report import Block, Column, Fact, Facts, Figure, Gallery, Notice, Section, Strip, Table, Tile
from aeret.reporting.sections.photo_tiles import aspect, held

_SHOWN, _PHOTOS, _SMALLEST = 4, 10, 5


def cluster_section(evaluation: Evaluation, inputs: ReportInputs, side: int) -> Section:
    """Return pairs, sizes and galleries of the clusters."""
    blocks: list[Block] = [_pairs(evaluation), _facts(evaluation), _sizes(evaluation)]
    if inputs.gallery is None:
        blocks.append(
            Notice("The photos of this gallery are not available, so clusters are not shown as photos.", "note")
        )
    else:
        blocks.extend(cluster_galleries(evaluation, inputs.gallery, inputs.categories, side))
    return Section("clusters", "Clusters", blocks)


def purity(labels: NDArray[np.bool_], assignment: NDArray[np.int32], clusters: int) -> NDArray[np.float64]:
    """Return how far each category dominates each cluster beyond its prevalence.

    ``(share in cluster - share in gallery) / (1 - share in gallery)``: 1 when every photo of the cluster holds the
    category, 0 at chance. A category that is nearly everywhere ("person") so cannot make a cluster look pure.

    Args:
        labels: bool (g, categories).
        assignment: cluster of each photo, int32 (g,).
        clusters: k.

    Returns:
        float64 (k, categories); an empty cluster's row is 0.
    """
    counts = np.zeros((clusters, labels.shape[1]))
    np.add.at(counts, assignment, labels)
    sizes = np.bincount(assignment, minlength=clusters)[:, None]
    share = np.divide(counts, sizes, out=np.zeros_like(counts), where=sizes > 0)
    base = labels.mean(axis=0)
    return np.where(sizes > 0, (share - base) / np.where(base < 1, 1 - base, 1.0), 0.0)


def _pairs(evaluation: Evaluation) -> Table:
    columns = (
        Column("name", "partition"),
        Column("clusters", "clusters", "count"),
        Column("precision", "precision", "measure", "TP / (TP + FP)", bar=True),
        Column("recall", "recall", "measure", "TP / (TP + FN)", bar=True),
        Column("f", "F", "measure", bar=True),
        Column("kappa", "kappa", "signed", "Pair-counting kappa: 0 at chance, 1 when pairs and labels agree."),
        *(Column(name, name.upper(), "count") for name in ("tp", "fp", "fn", "tn")),
    )
    kinds = ("lead", *("floor",) * (len(evaluation.pairs) - 1))[: len(evaluation.pairs)]
    caption = (
        "Over all pairs of gallery photos: same cluster against shared category. F alone is easily fooled: a single "
        "cluster has recall 1. Kappa is not, it is what to compare."
    )
    notes = ("The label oracle puts each photo into the cluster of one of its own labels; it is a ceiling of a kind.",)
    return Table("pairs", "Pairwise precision, recall and F", columns, evaluation.pairs, kinds, caption, notes)


def _facts(evaluation: Evaluation) -> Facts:
    found = evaluation.clusters
    sizes = np.asarray(found["sizes"])
    starts = found.get("inertia_per_start", [])
    single = f"of clusters and labels, {found.get('single_label_photos', 0)} photos with exactly one label"
    spread = "spread of clusters over their distance; less is better"
    facts = [
        Fact("clusters", len(sizes), "count"),
        Fact("empty", int(found.get("empties", (sizes == 0).sum())), "count"),
        Fact("largest", int(sizes.max(initial=0)), "count", "photos"),
        Fact("median size", float(np.median(sizes)) if len(sizes) else None, "number", "photos"),
        Fact("imbalance", found.get("imbalance"), "number", "1 when all are the same size"),
        Fact("inertia", found.get("inertia"), "number", "sum of squared distances to the centres"),
        *(
            Fact(name, found[key], kind, note)
            for name, key, kind, note in (
                ("silhouette", "silhouette", "signed", f"-1 to 1, over {found.get('silhouette_photos', 0)} photos"),
                ("Davies-Bouldin", "davies_bouldin", "number", spread),
                ("NMI", "nmi", "measure", single),
                ("ARI", "ari", "signed", f"{single}; 0 at chance"),
            )
            if found.get(key) is not None
        ),
    ]
    if len(starts) > 1:
        over = (max(starts) - min(starts)) / max(min(starts), 1e-30)
        note = f"of the inertia, {len(starts)} starts on the sample they are compared on"
        facts.append(Fact("spread over starts", over, "percent", note))
    return Facts("cluster-facts", "k-means", facts)


def _sizes(evaluation: Evaluation) -> Figure:
    sizes = np.sort(np.asarray(evaluation.clusters["sizes"]))[::-1]
    caption = (
        "The flatter, the more cluster-first search saves; a few huge clusters mean that most queries scan many photos."
    )
    figure = Figure("cluster-sizes", "Cluster sizes", cluster_sizes(sizes.tolist(), "sizes"), caption)
    columns = (Column("rank", "cluster, by size", "count"), Column("photos", "photos", "count"))
    shown = np.unique(np.linspace(0, max(len(sizes) - 1, 0), min(len(sizes), 11)).round().astype(int))
    return figure.with_numbers(columns, pd.DataFrame({"rank": shown + 1, "photos": sizes[shown]}))


def cluster_galleries(evaluation: Evaluation, gallery: Split, names: tuple[str, ...], side: int) -> list[Gallery]:
    """Return strips of the biggest, the purest and the most mixed clusters, photos nearest the centre."""
    sizes = np.asarray(evaluation.clusters["sizes"])
    lift = purity(np.asarray(gallery.labels), evaluation.assignment, len(sizes))
    score = lift.max(axis=1, initial=0.0)
    eligible = np.flatnonzero(sizes >= min(_SMALLEST, sizes.max(initial=0)))
    biggest = eligible[np.argsort(-sizes[eligible], kind="stable")][:_SHOWN].tolist()
    by_score = eligible[np.argsort(-score[eligible], kind="stable")].tolist()
    purest = [cluster for cluster in by_score if cluster not in biggest][:_SHOWN]
    mixed = [cluster for cluster in by_score[::-1] if cluster not in (*biggest, *purest)][:_SHOWN]
    groups = (
        ("biggest", "The biggest clusters", biggest, "Where most queries land."),
        ("purest", "The purest clusters", purest, "One category is far commoner than elsewhere."),
        ("mixed", "The most mixed clusters", mixed, "No category stands out: what do these photos share?"),
    )
    ending = " Photos nearest the centre, nearest first; only clusters of five photos or more."
    return [
        Gallery(
            f"clusters-{name}",
            title,
            [_strip(evaluation, gallery, names, cluster, lift[cluster], side) for cluster in chosen],
            caption + ending,
        )
        for name, title, chosen, caption in groups
        if chosen
    ]


def _strip(
    evaluation: Evaluation,
    gallery: Split,
    names: tuple[str, ...],
    cluster: int,
    lift: NDArray[np.float64],
    side: int,
) -> Strip:
    labels = np.asarray(gallery.labels)
    share, base = labels[evaluation.assignment == cluster].mean(axis=0), labels.mean(axis=0)
    leading = [int(c) for c in np.argsort(-lift, kind="stable")[:4] if lift[c] > 0]
    dominating = ", ".join(f"{names[c]} {100 * share[c]:.0f} % (all photos {100 * base[c]:.0f} %)" for c in leading)
    rows = np.asarray(evaluation.clusters["examples"][cluster], np.int64)[:_PHOTOS]
    tiles = []
    for photo, row in zip(gallery.photos(rows), rows.tolist(), strict=True):
        text = held(labels[row], names)
        tiles.append(Tile(thumbnail(photo, text or "no label", side, aspect(gallery, row)), text))
    size = int(evaluation.clusters["sizes"][cluster])
    facts = (Fact("photos", size, "count"), Fact("dominance", float(lift.max(initial=0.0)), "measure"))
    title = f"Cluster {cluster}" + (": " + ", ".join(names[c] for c in leading[:2]) if leading else "")
    return Strip(f"cluster-{cluster}", title, tiles, dominating or "no category above its share in all photos", facts)
