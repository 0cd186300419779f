"""`aeret search` and `aeret feedback` on a made-up run whose predictions are the truth, without any network."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from aeret.artifacts import Record, write_json
from aeret.cli import cli
from aeret.data.encodings import mask_encoding
from aeret.data.prepared import Category
from aeret.embeddings.store import EmbeddingSet
from aeret.errors import AeretError
from aeret.pipeline import history
from aeret.retrieval.mask_overlap import planes_of
from aeret.settings import Settings

N, CELLS = 60, 16
NAMES = ("person", "dog", "traffic light")
CATEGORIES = tuple(Category(row, name, "thing") for row, name in enumerate(NAMES))


def masks() -> np.ndarray:
    """Person left of dog, dog left of person, a person, a traffic light over a dog: a quarter of the photos each."""
    rng = np.random.default_rng(0)
    dense = np.zeros((N, CELLS, CELLS, 3), bool)
    for photo in range(N):
        y, x = rng.integers(4, 8), rng.integers(0, 4)
        spots = (((0, y, x), (1, y, x + 8)), ((1, y, x), (0, y, x + 8)), ((0, y, x),), ((2, y - 4, x), (1, y + 3, x)))
        for category, top, left in spots[photo % 4]:
            dense[photo, top : top + 4, left : left + 4, category] = True
    return dense


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dense = masks()
    run = history.start(tmp_path, history.new_group(tmp_path, "toy"), "", "toy", {}, Settings())
    folders = {}
    for stage in ("prepare", "encode-masks", "embed"):
        folders[stage] = tmp_path / "artifacts" / stage / "k"
        folders[stage].mkdir(parents=True)
        record = Record(stage, "k", {}, (), {}, {}, "c", 0, "2026-11-20")
        write_json(folders[stage] / "artifact.json", asdict(record))
        run.stages.append({"stage": stage, "key": "k", "how": "made", "seconds": 0.0})
    history.finish(tmp_path, run, "done")
    source = folders["prepare"] / "val"
    source.mkdir()
    labels = dense.any(axis=(1, 2))
    np.save(source / "photos.npy", np.zeros((N, 32, 32, 3), np.uint8))
    np.save(source / "labels.npy", np.packbits(labels, axis=1))
    planes_of(dense).save(source / "masks")
    rows = {"photo_id": np.arange(N), "file_name": [f"{row}.jpg" for row in range(N)], "path": ["?"] * N}
    pd.DataFrame(rows | {"width": np.full(N, 64), "height": np.full(N, 48)}).to_parquet(source / "photos.parquet")
    place = {"source": "val", "start": 0, "stop": N}
    record_of = {"version": 1, "photo_size": 32, "mask_size": CELLS, "leave_one_out": True}
    splits = dict.fromkeys(("train", "query", "gallery"), place)
    text = json.dumps(record_of | {"categories": [asdict(each) for each in CATEGORIES], "splits": splits})
    (folders["prepare"] / "prepared.json").write_text(text)
    scores = np.where(labels, 3.0, -3.0).astype(np.float32)
    codes = dense.reshape(N, -1).astype(np.float32)
    files = {"file_name": np.array([f"{row}.jpg" for row in range(N)])}
    vectors = np.concatenate([labels, codes], axis=1).astype(np.float32)
    EmbeddingSet(vectors, np.arange(N), files, {"codes": codes, "label_scores": scores}).save(
        folders["embed"] / "gallery"
    )
    encoder = SimpleNamespace(
        size=CELLS,
        encoding=mask_encoding("onehot", CATEGORIES),
        encode_masks=lambda dense: dense.reshape(len(dense), -1).astype(np.float32),
        decode=lambda codes: codes.reshape(-1, CELLS, CELLS, 3),
    )
    stub = SimpleNamespace(SavedEncoder=SimpleNamespace(load=lambda folder: encoder))
    monkeypatch.setitem(sys.modules, "aeret.models.saved", stub)
    return tmp_path


def call(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments, "--runs", str(root)])


def files(result: Result) -> list[int]:
    assert result.exit_code == 0, result.output + str(result.exception)
    return [int(line.split()[-1].removesuffix(".jpg")) for line in result.output.splitlines() if line.endswith(".jpg")]


@pytest.mark.parametrize("similarity", ["relations", "cosine", "euclidean", "layout"])
@pytest.mark.parametrize(
    ("text", "kind"), [("person left of dog", 0), ("person right of a dog", 1), ("traffic lights above dog", 3)]
)
def test_the_photos_in_which_it_is_true_come_first(root: Path, text: str, kind: int, similarity: str) -> None:
    found = files(call(root, "search", text, "--results", "10", "--similarity", similarity))
    assert len(found) == 10
    right = sum(photo % 4 == kind for photo in found)
    # One typical layout finds those that look like it first; relations are right wherever they are.
    assert right == 10 if similarity == "relations" or kind == 3 else right > 5


@pytest.mark.parametrize("kept", [True, False])
def test_masks_are_decoded_once_for_all_queries_or_it_is_said(
    root: Path, kept: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from aeret.pipeline.history import artifacts_of, find_run
    from aeret.retrieval.text.evidence import evidence_distances
    from aeret.retrieval.text.grammar import parse
    from aeret.search import decoded_masks
    from aeret.search import text as text_search

    monkeypatch.setattr(decoded_masks, "PHOTOS_AT_ONCE", 25)
    if not kept:
        monkeypatch.setattr(decoded_masks, "MOST_BYTES", N * CELLS**2 * 3 - 1)
    searcher = text_search.TextSearcher(artifacts_of(root, find_run(root, "latest"), text_search.NEEDED))
    decode, decoded = searcher.encoder.decode, []
    monkeypatch.setattr(searcher.encoder, "decode", lambda codes: (decoded.append(len(codes)), decode(codes))[1])
    for text in ("person left of dog", "traffic light above dog", "person left of dog"):
        scene = parse(text, searcher.vocabulary)
        exact = evidence_distances(scene, masks().astype(np.float32), np.arange(3))
        assert searcher.parts([scene])[0]["layout"] == pytest.approx(exact)
    assert decoded == [25, 25, 10] * (1 if kept else 3)
    assert ("more than the" in caplog.text) == (not kept)


def test_similar_layouts_are_those_whose_decoded_masks_overlap_most(root: Path) -> None:
    found = files(call(root, "similar", "--photo", "4", "--similarity", "layout", "--results", "59"))
    dense = masks()
    common, either = ((dense[4:5] & dense).sum(axis=(1, 2)), (dense[4:5] | dense).sum(axis=(1, 2)))
    overlap = (common / np.maximum(either, 1)).sum(axis=1) / (either > 0).sum(axis=1)
    expected = np.argsort(-overlap.astype(np.float32), kind="stable")
    assert found == [photo for photo in expected if photo != 4]


def test_labels_alone_do_not_know_sides(root: Path) -> None:
    found = files(call(root, "search", "person left of dog", "--results", "30", "--layout-weight", "0"))
    assert found == sorted(found) and {photo % 4 for photo in found} == {0, 1}


def test_a_query_of_what_is_absent(root: Path) -> None:
    assert {photo % 4 for photo in files(call(root, "search", "no dog", "--results", "15"))} == {2}


def test_explain_shows_reading_boxes_and_weights(root: Path) -> None:
    output = call(root, "search", "person left of dog", "--explain").output
    assert "Read as: person left of dog" in output and "labels 1, layout 0.2" in output
    rows = [line for line in output.splitlines() if line.startswith("|") and "A" in line and "B" in line]
    assert rows and all(line.rindex("A") < line.index("B") for line in rows)


def test_page_is_one_file_with_the_photos(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "found.html"
    assert files(call(root, "search", "person left of dog", "--page", str(page), "--results", "5"))
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == 5 and "data:image/png" in text and "person left of dog" in text


def test_evaluation_tells_relations_from_labels(root: Path) -> None:
    result = call(root, "search", "--evaluate")
    assert result.exit_code == 0, result.output + str(result.exception)
    row = next(line.split() for line in result.output.splitlines() if line.strip().startswith("relation"))
    precision, labels, random = float(row[2]), float(row[5]), float(row[7])
    assert precision > labels + 0.2 > random


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["persn left of dog"], "query, column 1: 'persn' is not a category"),
        (["person left of dog and the dog left of the person"], "contradicts itself"),
        (["dog", "--run", "nothing"], "matches no run"),
    ],
)
def test_what_is_wrong_is_said(root: Path, arguments: list[str], message: str) -> None:
    result = call(root, "search", *arguments)
    assert isinstance(result.exception, AeretError) and message in str(result.exception)


def test_a_query_or_evaluate_is_needed(root: Path) -> None:
    assert "Give a query" in call(root, "search").output
    assert call(root, "search", "dog", "--evaluate").exit_code == 2


def test_an_unfinished_run_is_named(root: Path) -> None:
    (root / "artifacts" / "embed" / "k" / "artifact.json").unlink()
    assert "has no embed yet" in str(call(root, "search", "dog").exception)


def test_feedback_prints_policies_and_writes_the_curve(root: Path, tmp_path: Path) -> None:
    plot = tmp_path / "regret.svg"
    result = call(root, "feedback", "--rounds", "60", "--relevance", "jaccard", "--plot", str(plot))
    assert result.exit_code == 0, result.output + str(result.exception)
    for policy in ("equal", "best fixed", "ucb", "linucb", "oracle"):
        assert policy in result.output
    assert "<svg" in plot.read_text(encoding="utf-8")
