"""``aeret models list``."""

from click.testing import CliRunner

from aeret.cli import cli
from aeret.models.backbones import BACKBONES


def test_list_counts_and_measures_what_the_size_allows() -> None:
    result = CliRunner().invoke(cli, ["models", "list", "--size", "16", "--measure"])
    assert result.exit_code == 0, result.output
    header, *lines = result.output.splitlines()
    assert header.split() == ["backbone", "size", "smallest", "parameters", "map", "embedding", "photos/s", "paper"]
    rows = {cells[0]: cells for cells in map(str.split, lines)}
    assert list(rows) == list(BACKBONES)
    assert rows["resnet18"][1:6] == ["16", "16", "11,689,512", "1x1x512", "512"]
    assert float(rows["resnet18"][6]) > 0
    assert rows["vgg19"][1:7] == ["16", "32", "-", "-", "-", "-"]
