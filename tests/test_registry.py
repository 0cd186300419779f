import pytest

from aeret.errors import UnknownNameError
from aeret.registry import lookup

NETWORKS = {"alexnet": 1, "resnet18": 2}


def test_returns_the_thing() -> None:
    assert lookup(NETWORKS, "resnet18", "backbone") == 2


def test_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    with pytest.raises(UnknownNameError) as caught:
        lookup(NETWORKS, "resnet-18", "backbone")
    assert str(caught.value) == ("There is no backbone 'resnet-18'. Did you mean 'resnet18'? Known: alexnet, resnet18.")
    assert caught.value.exit_code == 2


def test_nothing_near_gives_no_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"^There is no backbone 'xyz'\. Known: alexnet, resnet18\.$"):
        lookup(NETWORKS, "xyz", "backbone")
