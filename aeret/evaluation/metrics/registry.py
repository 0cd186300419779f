"""List all measures by name.

A new measure is a file and a line here; the contract test covers it.
"""

from __future__ import annotations

from aeret.evaluation.metrics.auc import AUC
from aeret.evaluation.metrics.average_precision import AVERAGE_PRECISION
from aeret.evaluation.metrics.counts import CMC, HIT, PRECISION, R_PRECISION, RECALL, F
from aeret.evaluation.metrics.curve import CURVE
from aeret.evaluation.metrics.definition import Definition
from aeret.evaluation.metrics.ndcg import NDCG
from aeret.evaluation.metrics.reciprocal_rank import RECIPROCAL_RANK

METRICS: dict[str, Definition] = {
    "P": PRECISION,
    "R": RECALL,
    "F": F,
    "Hit": HIT,
    "CMC": CMC,
    "AP": AVERAGE_PRECISION,
    "RPrec": R_PRECISION,
    "RR": RECIPROCAL_RANK,
    "nDCG": NDCG,
    "AUC": AUC,
    "PR": CURVE,
}

ALIASES = {"Hits": "Hit", "mAP": "AP", "MRR": "RR", "Precision": "P", "Recall": "R", "ROC-AUC": "AUC"}
"""Other names that are read; a measure prints by its own."""
