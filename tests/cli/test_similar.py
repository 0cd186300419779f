"""`aeret similar`, and that the lists of similarities agree."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from aeret.cli import cli
from aeret.errors import UnknownNameError, UsageError
from aeret.retrieval.similarities import SIMILARITIES
from aeret.retrieval.similarity_names import CODES, NAMES, TEXT_LAYOUTS
from aeret.search.similar import needed
from aeret.settings.sections import ClusterSettings


def call(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["similar", *arguments, "--runs", str(root)])


@pytest.mark.parametrize("similarity", ["cosine", "euclidean", "dot", "hamming"])
def test_photos_of_the_same_kind_come_first(toy_run: Path, similarity: str) -> None:
    result = call(toy_run, "--photo", "104", "--similarity", similarity, "--results", "12")
    assert result.exit_code == 0, result.output + str(result.exception)
    found = [int(line.split()[2]) for line in result.output.splitlines()]
    assert len(set(found)) == 12 and 104 not in found
    if similarity != "hamming":  # signs of noise tell kinds apart hardly at all
        assert {photo % 3 for photo in found} == {104 % 3}


def test_what_is_wrong_is_said(toy_run: Path) -> None:
    assert isinstance(call(toy_run, "--photo", "7").exception, UsageError)
    assert "'hamming', 'layout'" in call(toy_run, "--photo", "104", "--similarity", "cosin").output
    with pytest.raises(UnknownNameError, match="cosine"):
        needed("cosin")


def test_similarities_of_settings_and_measures_are_those_there_are() -> None:
    from aeret.evaluation import query_by_layout

    fields = ClusterSettings.model_fields
    for names in (
        get_args(fields["similarity"].annotation),
        get_args(fields["layout_similarity"].annotation),
        query_by_layout.SIMILARITIES,
    ):
        assert set(names) <= set(SIMILARITIES)
    assert get_args(fields["layout_similarity"].annotation) == query_by_layout.SIMILARITIES == CODES
    assert tuple(SIMILARITIES) == NAMES
    assert set(TEXT_LAYOUTS) - {"relations"} <= set(NAMES)
