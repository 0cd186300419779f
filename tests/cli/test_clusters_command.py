"""`aeret clusters sweep` on a made-up run of three well separated kinds of photos."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from aeret.cli import cli
from aeret.errors import UsageError


def sweep(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["clusters", "sweep", "--runs", str(root), "--quiet", *arguments])


def test_a_sweep_prints_a_table_and_choices_and_writes_a_plot(toy_run: Path) -> None:
    done = sweep(toy_run, "--k", "2,3,6,12")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    head = lines[0].split()
    assert {"k", "inertia", "silhouette", "davies_bouldin", "nmi", "ari", "f", "kappa", "seconds"} <= set(head)
    assert [line.split()[0] for line in lines[1:5]] == ["2", "3", "6", "12"]
    assert dict(zip(head, lines[2].split(), strict=True))["kappa"] == "1.000"
    assert [line.split() for line in lines if "chooses" in line][-1] == ["kappa", "chooses", "k", "=", "3"]
    folder = next((toy_run / "sweeps").iterdir())
    assert {path.name for path in folder.iterdir()} == {f"report.{end}" for end in ("html", "md", "csv", "json")}
    page = (folder / "report.html").read_text()
    assert "pairwise kappa: k = 3" in page
    assert "photos with exactly one label" in page


def test_what_cannot_be_swept_is_explained(toy_run: Path, tmp_path: Path) -> None:
    done = sweep(toy_run, "--k", "10,many")
    assert done.exit_code == 2
    assert "'10,many' is not a list of whole numbers" in done.output
    too_many = sweep(toy_run, "--k", "2,91")
    assert isinstance(too_many.exception, UsageError)
    assert "from 2 to the 90 photos" in str(too_many.exception)
    none = sweep(tmp_path / "absent")
    assert isinstance(none.exception, UsageError)
