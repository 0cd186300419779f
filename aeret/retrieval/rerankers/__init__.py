"""Re-rankers: the first results of a search, put into another order. One small file each, and a line in ``RERANKERS``.

``RERANKERS["alpha-qe"].rerank(queries, ranking, gallery, top=100, alpha=3)`` returns a ranking of the same rows. What
all have in common is at the top of ``reranker.py``; when each helps and when it hurts is in the guide.
"""

from aeret.retrieval.rerankers.alpha_qe import ALPHA_QE
from aeret.retrieval.rerankers.aqe import AQE
from aeret.retrieval.rerankers.contextual import CONTEXTUAL
from aeret.retrieval.rerankers.dba import DBA, augment, find_neighbours
from aeret.retrieval.rerankers.diffusion import DIFFUSION
from aeret.retrieval.rerankers.exact import EXACT
from aeret.retrieval.rerankers.k_reciprocal import K_RECIPROCAL
from aeret.retrieval.rerankers.reranker import Reranker
from aeret.retrieval.rerankers.rocchio import ROCCHIO

__all__ = ["RERANKERS", "Reranker", "augment", "find_neighbours"]

RERANKERS: dict[str, Reranker] = {
    each.name: each for each in (AQE, ALPHA_QE, DBA, K_RECIPROCAL, DIFFUSION, EXACT, ROCCHIO, CONTEXTUAL)
}
