import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from aeret.errors import UsageError
from aeret.retrieval.bm25 import Bm25
from aeret.retrieval.vsm import VectorSpace
from aeret.retrieval.words import Words, learn_words, ranking_of

COUNTS = np.array([[2, 1, 0], [0, 1, 0], [0, 1, 3], [1, 0, 0]], float)


def random_bags(seed: int, photos: int = 40, words: int = 15) -> sparse.csr_array:
    rng = np.random.default_rng(seed)
    return sparse.csr_array(rng.poisson(0.7, (photos, words)) * rng.random((photos, words)))


def test_bm25_by_hand() -> None:
    k1, b = 1.5, 0.6
    scores = Bm25.build(sparse.csr_array(COUNTS), k1, b).scores(sparse.csr_array([[1.0, 2.0, 0.0]])).toarray()[0]
    length, mean = COUNTS.sum(axis=1), 9 / 4

    def part(f: float, having: int, photo: int) -> float:
        idf = math.log(1 + (4 - having + 0.5) / (having + 0.5))
        return idf * f * (k1 + 1) / (f + k1 * (1 - b + b * length[photo] / mean))

    expected = [
        part(2, 2, 0) + 2 * part(1, 3, 0),
        2 * part(1, 3, 1),
        2 * part(1, 3, 2),
        part(1, 2, 3),
    ]
    assert scores == pytest.approx(expected)
    assert scores[1] > scores[2]  # the shorter bag with the same count


def test_bm25_without_saturation_or_length_is_idf_of_shared_words() -> None:
    index = Bm25.build(sparse.csr_array(COUNTS), k1=0, b=0)
    scores = index.scores(sparse.csr_array([[1.0, 1.0, 1.0]])).toarray()[0]
    idf = [math.log(1 + (4 - n + 0.5) / (n + 0.5)) for n in (2, 3, 1)]
    assert scores == pytest.approx([idf[0] + idf[1], idf[1], idf[1] + idf[2], idf[0]])


@pytest.mark.parametrize("seed", [0, 1])
def test_vector_space_is_scikit_learns_tfidf_and_cosine(seed: int) -> None:
    photos, queries = random_bags(seed), random_bags(seed + 10, 7)
    peer = TfidfTransformer().fit(photos)
    expected = (peer.transform(queries) @ peer.transform(photos).T).toarray()
    assert VectorSpace.build(photos).scores(queries).toarray() == pytest.approx(expected)


def test_sublinear_counts_are_scikit_learns() -> None:
    whole = sparse.csr_array(np.random.default_rng(3).integers(0, 5, (20, 8)).astype(float))
    peer = TfidfTransformer(sublinear_tf=True).fit(whole)
    expected = (peer.transform(whole) @ peer.transform(whole).T).toarray()
    assert VectorSpace.build(whole, sublinear=True).scores(whole).toarray() == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16))
def test_ranking_is_that_of_dense_scores(seed: int) -> None:
    photos, queries = random_bags(seed, 25), random_bags(seed + 1, 4)
    index = Bm25.build(photos)
    exclude = np.array([3, -1, 0, 24])
    ranking = index.search(queries, 30, exclude)
    dense = index.scores(queries).toarray().astype(np.float32)
    assert ranking.rows.shape == (4, 24)
    for query in range(4):
        order = [row for row in np.argsort(-dense[query], kind="stable") if row != exclude[query]][:24]
        assert ranking.rows[query].tolist() == order
        kept = np.arange(25) != exclude[query]
        assert ranking.scanned[query] == np.count_nonzero(dense[query, kept])


def test_photos_without_a_shared_word_come_last_by_row() -> None:
    index = Bm25.build(sparse.csr_array(COUNTS))
    ranking = index.search(sparse.csr_array([[0.0, 0.0, 1.0]]), 4)
    assert ranking.rows.tolist() == [[2, 0, 1, 3]]
    assert ranking.distances[0, 1:].tolist() == [0, 0, 0]
    assert ranking.scanned.tolist() == [1]


def test_queries_are_scored_in_blocks_and_neither_batch_nor_threads_change_a_result() -> None:
    photos, queries = random_bags(5, 500), random_bags(6, 150)
    index, asked = Bm25.build(photos), []

    def score(bags: sparse.csr_array) -> sparse.csr_array:
        asked.append(bags.shape[0])
        return index.scores(bags)

    exclude = np.arange(150) - 1
    one = ranking_of(score, queries, 500, 20, exclude, threads=1)
    assert asked == [64, 64, 22]
    for part in (slice(None), slice(0, 1), slice(77, 79), slice(149, 150)):
        found = index.search(queries[part], 20, exclude[part], threads=3)
        assert (found.rows == one.rows[part]).all() and (found.distances == one.distances[part]).all()


def test_counts_of_zero_or_in_two_parts_are_no_other_words() -> None:
    split = sparse.csr_array((np.array([1.0, 1, 0, 1]), np.array([0, 0, 2, 1]), np.array([0, 4])), shape=(1, 3))
    whole = sparse.csr_array([[2.0, 1.0, 0.0]])
    for index in (Bm25.build(sparse.csr_array(COUNTS)), VectorSpace.build(sparse.csr_array(COUNTS), sublinear=True)):
        assert index.scores(split).toarray() == pytest.approx(index.scores(whole).toarray())
    zeros = sparse.csr_array((np.zeros(1), np.array([1]), np.array([0, 1])), shape=(1, 3))
    found = VectorSpace.build(sparse.csr_array(COUNTS)).search(zeros, 4)
    assert found.rows.tolist() == [[0, 1, 2, 3]] and (found.distances == 0).all()


def test_bags_are_soft_counts_of_the_nearest_words() -> None:
    words = Words((np.array([[0.0], [1.0], [10.0]], np.float32),), (0.5,), 2)
    bags = words.bags(np.array([[0.25]], np.float32)).toarray()[0]
    near, far = math.exp(-0.0625), math.exp(-0.5625)
    assert bags == pytest.approx([2 * near / (near + far), 2 * far / (near + far), 0])


def test_hard_words_are_the_cluster() -> None:
    words = Words((np.array([[0.0], [1.0], [10.0]], np.float32),), (0.0,), 1)
    assert words.bags(np.array([[9.0], [0.4]], np.float32)).toarray().tolist() == [[0, 0, 1], [1, 0, 0]]


def test_learnt_words_find_the_own_cluster() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((6, 8)) * 5
    home = np.repeat(np.arange(6), 30)
    vectors = (centres[home] + rng.standard_normal((180, 8))).astype(np.float32)
    words = learn_words(vectors, (6, 20), nearest=2, seed=1)
    bags = words.bags(vectors)
    assert bags.shape == (180, 26) and len(words) == 26
    assert np.asarray(bags.sum(axis=1)) == pytest.approx(np.full(180, 4.0))
    for index in (Bm25.build(bags), VectorSpace.build(bags)):
        found = index.search(bags, 10, np.arange(180)).rows
        assert (home[found] == home[:, None]).mean() > 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Bm25.build(sparse.csr_array(COUNTS), k1=-1), "k1 >= 0"),
        (lambda: Bm25.build(sparse.csr_array(COUNTS), b=2), "b in"),
        (lambda: Bm25.build(sparse.csr_array(-COUNTS)), "negative"),
        (lambda: Bm25.build(sparse.csr_array((0, 3))), "at least one photo"),
        (lambda: VectorSpace.build(sparse.csr_array((0, 3))), "at least one photo"),
        (lambda: VectorSpace.build(sparse.csr_array(COUNTS)).scores(sparse.csr_array((1, 2))), "bags of 3 words"),
        (lambda: ranking_of(lambda bags: bags, sparse.csr_array((1, 3)), 3, 0), "at least one result"),
        (lambda: Bm25.build(sparse.csr_array(COUNTS)).search(sparse.csr_array((1, 3)), 2, np.array([4])), "row of 4"),
        (lambda: learn_words(np.zeros((3, 2), np.float32), (4,)), "1 to 3 words"),
    ],
)
def test_what_does_not_fit_is_said(call: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()  # type: ignore[operator]
