"""Re-rank the first results of a search.

A re-ranker is one small file, which says what its ``Reranker`` scores, and one entry of ``RERANKERS``.
"""

from aeret.retrieval.rerankers.contextual import CONTEXTUAL
from aeret.retrieval.rerankers.dba import DBA, augment, find_neighbours
from aeret.retrieval.rerankers.diffusion import DIFFUSION
from aeret.retrieval.rerankers.exact import EXACT
from aeret.retrieval.rerankers.k_reciprocal import K_RECIPROCAL
from aeret.retrieval.rerankers.query_expansion import ALPHA_QE, AQE
from aeret.retrieval.rerankers.reranker import Reranker
from aeret.retrieval.rerankers.rocchio import ROCCHIO

__all__ = ["RERANKERS", "Reranker", "augment", "find_neighbours"]

RERANKERS: dict[str, Reranker] = {
    each.name: each for each in (AQE, ALPHA_QE, DBA, K_RECIPROCAL, DIFFUSION, EXACT, ROCCHIO, CONTEXTUAL)
}
"""Name to re-ranker. When each helps and when it hurts is in the guide."""
