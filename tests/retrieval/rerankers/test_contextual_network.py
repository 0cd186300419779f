"""The contextual network on disk: what is damaged is said, and nothing of it depends on the list's order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_reranker_contract import ASKED, FOUND, GALLERY, network

from aeret.errors import DataError, UsageError
from aeret.retrieval.rerankers import RERANKERS
from aeret.retrieval.rerankers.contextual import Network, affinities

NETWORK = network(anchors=5)


def write(path: Path, **changes: Any) -> Path:
    facts = {"version": np.int64(1), "anchors": np.int64(5), "heads": np.int64(3), "trained_on": np.array([4, 7])}
    parts = {**facts, **NETWORK.arrays, **changes}
    np.savez(path, **{name: part for name, part in parts.items() if part is not None})
    return path


def test_a_file_is_the_network_it_was_written_from(tmp_path: Path) -> None:
    path = write(tmp_path / "c.npz")
    done = RERANKERS["contextual"].rerank(ASKED, FOUND, GALLERY, network=path)
    assert np.array_equal(done.rows, RERANKERS["contextual"].rerank(ASKED, FOUND, GALLERY, network=NETWORK).rows)
    assert Network.load(path).trained_on.tolist() == [4, 7]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": np.int64(9)}, "version 9"),
        ({"heads": np.int64(5)}, "do not fit"),
        ({"anchors": np.int64(6)}, "do not fit"),
        ({"anchors": None}, "holds no contextual network"),
        ({"block1.widen.bias": None}, "lacks block1.widen.bias"),
        ({"last.beta": np.full(12, np.nan, np.float32)}, "not finite"),
        ({"block0.join.bias": np.zeros(7, np.float32)}, "do not fit"),
    ],
)
def test_a_file_that_cannot_be_is_refused(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Network.load(write(tmp_path / "c.npz", **changes))


def test_a_missing_or_cut_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        Network.load(tmp_path / "c.npz")
    path = write(tmp_path / "c.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match="holds no contextual network"):
        Network.load(path)
    with pytest.raises(UsageError, match="needs network="):
        RERANKERS["contextual"].rerank(ASKED, FOUND, GALLERY)


def test_results_beyond_the_anchors_may_stand_in_any_order() -> None:
    block = GALLERY[FOUND.rows[0]]
    order = np.r_[:4, 4 + np.random.default_rng(0).permutation(len(block) - 4)]
    straight = NETWORK.cosines(affinities(ASKED[0], block, 5))
    mixed = NETWORK.cosines(affinities(ASKED[0], block[order], 5))
    np.testing.assert_allclose(mixed, straight[order], atol=1e-5)


def test_affinities_are_cosines_to_the_query_and_the_first_results() -> None:
    block = GALLERY[FOUND.rows[0, :3]] * 2
    found = affinities(ASKED[0] * 5, block, 6)
    listed = np.concatenate([ASKED[:1], block / 2])
    np.testing.assert_allclose(found[:, :4], listed @ listed.T, atol=1e-6)
    assert not found[:, 4:].any()
