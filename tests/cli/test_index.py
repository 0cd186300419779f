"""`aeret index plan | build | search` on a made-up run of three well separated kinds of photos."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aeret.cli import cli
from aeret.cli.index import LATENCY, MEMORY
from aeret.errors import DataError, UnknownNameError, UsageError


def index(root: Path, verb: str, *arguments: str) -> Result:
    where = [] if verb == "search" else ["--runs", str(root), "--quiet"]
    return CliRunner().invoke(cli, ["index", verb, *where, *arguments])


def test_plan_prints_the_front_chooses_within_the_budget_and_writes_every_trial(toy_run: Path, tmp_path: Path) -> None:
    kinds = ("flat", "sq", "kd-tree")
    asked = [text for kind in kinds for text in ("--index", kind)]
    done = index(toy_run, "plan", "--measure", "P(rel=any)@10", "--memory", "1MB", "--latency", "10s",
                 "--out", str(tmp_path / "plan"), *asked)  # fmt: skip
    assert done.exit_code == 0, done.output
    # All find the right kind, so the smallest is chosen: half a byte a dimension.
    assert "Take sq bits=4: P(rel=any)@10 1.000" in done.output
    assert "<svg" in (tmp_path / "plan" / "report.html").read_text()
    with (tmp_path / "plan" / "report.csv").open(newline="") as file:
        text = "\n".join(",".join(line) for line in csv.reader(file))
    assert all(kind in text for kind in kinds)


def test_plan_says_what_comes_nearest_when_nothing_fits(toy_run: Path, tmp_path: Path) -> None:
    done = index(toy_run, "plan", "--memory", "1kB", "--index", "flat", "--out", str(tmp_path / "plan"))
    assert done.exit_code == 0, done.output
    assert "Nothing fits the budget. The smallest trial is flat" in done.output


def test_plan_leaves_out_what_cannot_be_built_and_says_so(toy_run: Path, tmp_path: Path) -> None:
    done = index(toy_run, "plan", "--index", "binary-flat", "--out", str(tmp_path / "plan"))
    assert isinstance(done.exception, UsageError)
    done = index(toy_run, "plan", "--index", "flaat", "--out", str(tmp_path / "plan"))
    assert isinstance(done.exception, UnknownNameError)
    assert "flat" in str(done.exception)


def test_plan_refuses_a_measure_that_is_none(toy_run: Path) -> None:
    done = index(toy_run, "plan", "--measure", "nDGC(rel=jaccard)@10", "--index", "flat")
    assert isinstance(done.exception, UsageError)
    assert "nDCG" in str(done.exception)


def test_build_and_search_find_photos_of_the_same_kind_by_id(toy_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gallery.index"
    built = index(toy_run, "build", "ivf-flat", str(folder), "--option", "lists=3")
    assert built.exit_code == 0, built.output
    assert "ivf-flat: 90 photos" in built.output
    found = index(toy_run, "search", str(folder), "--photo", "104", "--results", "5", "--knob", "nprobe=all")
    assert found.exit_code == 0, found.output
    ids = [int(line.split()[2]) for line in found.output.splitlines()[:5]]
    assert all(each % 3 == 104 % 3 and each != 104 for each in ids)
    assert "Compared with 89 of 90 photos." in found.output


def test_search_reranks_the_first_results_and_leaves_the_rest(toy_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gallery.index"
    assert index(toy_run, "build", "flat", str(folder)).exit_code == 0
    plain, again = (
        index(toy_run, "search", str(folder), "--photo", "104", "--results", "20", *more)
        for more in ((), ("--rerank", "alpha-qe", "--rerank-option", "alpha=3", "--top", "10"))
    )
    assert again.exit_code == 0, again.output
    before, after = ([line.split()[2] for line in done.output.splitlines()[:20]] for done in (plain, again))
    assert sorted(before[:10]) == sorted(after[:10])
    assert before[:10] != after[:10]
    assert before[10:] == after[10:]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("build", "ivf-flta", "x"), UnknownNameError, "ivf-flat"),
        (("build", "flat", "x", "--option", "lists=3"), UsageError, "flat"),
        (("build", "binary-flat", "x"), UsageError, "binary codes"),
        (("search", "nowhere", "--photo", "1"), DataError, "holds no index"),
        (("search", "nowhere", "--photo", "1", "--rerank", "alphaqe"), UnknownNameError, "alpha-qe"),
    ],
)
def test_mistakes_are_named(toy_run: Path, arguments: tuple[str, ...], error: type[Exception], words: str) -> None:
    done = index(toy_run, *arguments)
    assert isinstance(done.exception, error), done.output
    assert words in str(done.exception)


def test_quantities_have_units() -> None:
    assert MEMORY.convert("2 GB", None, None) == 2000
    assert LATENCY.convert("250us", None, None) == 0.25
    for text in ("512", "2 parsecs", "0ms", "-1ms"):
        done = CliRunner().invoke(cli, ["index", "plan", "--latency", text])
        assert done.exit_code == 2
        assert "latency" in done.output
