import numpy as np
import pytest
from test_reranker_contract import ASKED, FOUND, GALLERY

from aeret.errors import UsageError
from aeret.retrieval.rerankers import RERANKERS
from aeret.retrieval.rerankers.contextual import affinities


def test_affinities_are_cosines_to_the_query_and_the_first_results() -> None:
    block = GALLERY[FOUND.rows[0, :3]] * 2
    found = affinities(ASKED[0] * 5, block, 6)
    listed = np.concatenate([ASKED[:1], block / 2])
    np.testing.assert_allclose(found[:, :4], listed @ listed.T, atol=1e-6)
    assert not found[:, 4:].any()


def test_no_network_is_refused() -> None:
    with pytest.raises(UsageError, match="needs network="):
        RERANKERS["contextual"].rerank(ASKED, FOUND, GALLERY)
