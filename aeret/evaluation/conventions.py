"""State the conventions of all numbers, one sentence each, for the report."""

from __future__ import annotations

from aeret.evaluation.clusters import SAMPLE
from aeret.evaluation.tables import RESAMPLES
from aeret.settings.sections import ClusterSettings


def conventions(settings: ClusterSettings, leave_one_out: bool, candidates: int) -> dict[str, str]:
    """Return the sentence of each convention by its name.

    Args:
        settings: of the evaluation.
        leave_one_out: whether queries are searched in the gallery they are part of.
        candidates: photos that can be found by one query.
    """
    share = f"{settings.resample_fraction:.0%}"
    drawn = "with replacement" if settings.resample_fraction == 1 else "without replacement"
    return {
        "search": f"Distances are {settings.similarity}; every query gets exactly {min(settings.results, candidates)} "
        "results; photos equally far are ordered by their row in the gallery.",
        "cluster-first": "Sequential: all results of the nearest cluster, ranked inside it, then those of the next; "
        "pooled: clusters are visited until enough photos are found, then ranked together.",
        "self-match": "The query is part of the gallery and is never one of its own results, nor relevant to itself."
        if leave_one_out
        else "Queries and gallery are different photos.",
        "empty queries": "A query without any relevant photo in the gallery is skipped for that measure and counted "
        "under skipped; it is not a zero.",
        "relevance any": "Two photos are relevant to each other when they share a category (the paper's rule).",
        "relevance jaccard": "Graded: categories shared over categories in either photo.",
        "relevance layout": "Graded: mean over the categories with a mask in either photo of the intersection over "
        "union of their masks; a category masked in only one photo counts 0.",
        "P, R, F": "P@N = relevant among N over N; R@N = relevant among N over all relevant in the gallery; F@N is "
        "their harmonic mean per query, then averaged over queries.",
        "capped": "R@N divided by min(N, relevant), the most that N results can hold. R@N of a query with thousands of "
        "relevant photos is always near 0; this one can reach 1. It equals P@N for queries with at least N relevant "
        "photos.",
        "AP": "AP is the mean over all relevant photos of the precision at their places in the order of the whole "
        f"gallery; AP@{settings.results} looks at the results only and divides by min({settings.results}, relevant).",
        "nDCG": "Linear gain, discount 1 / log2(rank + 1), over the best ten gains of the whole gallery.",
        "average=class": "Per category: queries that have it, results that have it; then the mean over categories, "
        "each counting the same.",
        "per class AP": "Over the whole-gallery order of the leading search "
        "(of exhaustive search if pooled leads, which has no such order).",
        "interval": f"95 % percentile bootstrap over queries, {RESAMPLES} samples; it does not include training noise.",
        "resamples": f"Mean, sd and central 95 % of the measure over {settings.resamples} random samples of {share} of "
        f"the queries, {drawn}; the clusters stay the same.",
        "floor random": "Exact expectation over all orders of the gallery.",
        "floor query-free": "One fixed order of the gallery for all queries, by mean relevance to these very queries. "
        "An informed floor, not a blind one: it is an oracle's constant list, which knows the labels (for layout, the "
        "masks) of gallery and queries, as no search of photos does. It is about the best that a ranking which never "
        "looks at the query it answers can reach; a good search may stay below it.",
        "pairs": "Over unordered pairs of gallery photos: relevant when they share a category, joined when in one "
        "cluster; F = 2TP / (2TP + FP + FN), 0 when TP = 0; kappa is chance-corrected (0 for chance).",
        **cluster_conventions(),
        "PR curve": "Mean over queries of interpolated precision (the best at this recall or beyond), rel=any, "
        "exhaustive order of the whole gallery.",
        "query by layout": "The code of a photo's own mask is ranked, by "
        f"{settings.layout_similarity} similarity, against the codes predicted from all query photos; ties count "
        "against us, photos without a mask are not queries. Floors are those of a random order of n photos: k / n for "
        "R@k, (n + 1) / 2 for the median rank.",
        "code R2": "Share of the variance of the query photos' mask codes that the predictions explain, all "
        "dimensions together.",
    }


def cluster_conventions(sample: int = SAMPLE) -> dict[str, str]:
    """Return the sentences about measures of clusters by name; ``sample`` is the silhouette's."""
    return {
        "inertia": "Sum of squared Euclidean distances of the gallery's vectors to the centre of their cluster.",
        "silhouette": f"Mean over at most {sample} gallery photos, drawn by the seed, of (b - a) / max(a, b): a is the "
        "mean Euclidean distance to the others of the own cluster, b the least mean distance to another cluster, both "
        "over all of the gallery; 0 for a photo alone in its cluster.",
        "Davies-Bouldin": "Mean over clusters of the largest (s_i + s_j) / d_ij: s is the mean Euclidean distance of "
        "members to their mean, d that between two means. Less is better.",
        "NMI, ARI": "Agreement of clusters and labels on the gallery photos with exactly one label: mutual information "
        "over the arithmetic mean of the entropies; Rand index corrected for chance.",
    }
