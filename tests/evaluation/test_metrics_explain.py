from __future__ import annotations

import pytest
from click.testing import CliRunner

from aeret.cli import cli
from aeret.evaluation.metrics import METRICS, parse
from aeret.evaluation.metrics.explain import example, explanation, guide, plain


@pytest.mark.parametrize("name", METRICS)
def test_what_is_worked_by_hand_is_what_is_computed(name: str) -> None:
    worked = METRICS[name].worked
    assert float(worked.rpartition("= ")[2]) == pytest.approx(example(plain(name)), abs=5e-5)
    text = explanation(plain(name))
    assert worked in text
    assert all(f"{key}=" in text for key in METRICS[name].parameters)


def test_another_variant_is_computed_too() -> None:
    text = explanation(parse("AP(denominator=hits)@3"))
    assert text.splitlines()[-1] == "  AP(rel=any,denominator=hits)@3 of the same: 0.5833"  # (1/2 + 2/3) / 2
    assert "denominator=hits" in text


def test_the_guide_names_every_measure() -> None:
    page = guide()
    assert all(f"\n## {name}: {definition.title}\n" in page for name, definition in METRICS.items())


def test_the_command_lists_explains_and_suggests() -> None:
    run = CliRunner().invoke
    assert all(name in run(cli, ["metrics", "list"]).output for name in METRICS)
    assert "log2(i + 1)" in run(cli, ["metrics", "explain", "nDCG"]).output
    assert "Did you mean 'nDCG'" in str(run(cli, ["metrics", "explain", "nDGC@3"]).exception)
