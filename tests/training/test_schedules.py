"""Learning rates by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeret.settings import TrainingSettings
from aeret.training.schedules import SCHEDULES, learning_rate
from aeret.training.selection import Selection


def rates(steps_per_epoch: int = 4, reductions: int = 0, **options) -> list[float]:
    chosen = TrainingSettings(**{"learning_rate": 1.0, "epochs": 5, **options})
    return [learning_rate(chosen, step, steps_per_epoch, reductions) for step in range(chosen.epochs * steps_per_epoch)]


def test_warmup_climbs_linearly_and_reaches_the_rate():
    assert rates(schedule="constant", warmup_epochs=1.0)[:6] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_warmup_of_half_an_epoch_and_of_none():
    assert rates(schedule="constant", warmup_epochs=0.5)[:3] == [0.5, 1, 1]
    assert rates(schedule="constant", warmup_epochs=0)[:2] == [1, 1]


def test_step_counts_epochs_after_the_warmup():
    found = rates(schedule="step", step_epochs=2, step_factor=0.5, warmup_epochs=1)
    assert found[4:] == [1] * 8 + [0.5] * 8


def test_cosine_by_hand():
    found = rates(schedule="cosine", warmup_epochs=1)
    assert found[4] == 1
    assert found[12] == pytest.approx(0.5)  # two of four epochs
    assert found[-1] == pytest.approx((1 + math.cos(math.pi * 15 / 16)) / 2)
    assert sorted(found[4:], reverse=True) == found[4:]


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_more_warmup_than_epochs_takes_half_of_them(schedule):
    found = rates(schedule=schedule, warmup_epochs=9, epochs=2)
    assert found[:4] == [0.25, 0.5, 0.75, 1]
    assert found[4] == 1
    assert max(rates(1, schedule=schedule, warmup_epochs=9, epochs=1)) == 1


def test_plateau_multiplies_by_its_reductions():
    assert rates(schedule="plateau", step_factor=0.5, reductions=3, warmup_epochs=0)[0] == 0.125


@settings(deadline=None)  # of a busy machine
@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 30), st.floats(0, 10), st.integers(1, 9), st.integers(0, 3))
def test_a_rate_is_never_negative_nor_above_the_base(name, epochs, warmup, steps, reductions):
    for rate in rates(steps, reductions, schedule=name, epochs=epochs, warmup_epochs=warmup):
        assert 0 <= rate <= 1


@pytest.mark.parametrize(("step", "steps"), [(-1, 4), (0, 0)])
def test_impossible_places(step, steps):
    with pytest.raises(ValueError, match="expected step >= 0"):
        learning_rate(TrainingSettings(), step, steps)


class TestSelection:
    def run(self, losses: list[float], **options) -> Selection:
        selection = Selection()
        for epoch, loss in enumerate(losses, 1):
            selection = selection.after(epoch, loss, TrainingSettings(**options))
        return selection

    def test_best_is_the_first_of_equals(self):
        selection = self.run([3, 2, 2, 4])
        assert (selection.best, selection.best_epoch, selection.waited) == (2, 2, 2)

    def test_stops_after_patience(self):
        settings = TrainingSettings(early_stop_patience=2)
        assert not self.run([1, 2]).should_stop(settings)
        assert self.run([1, 2, 3]).should_stop(settings)
        assert not self.run([1, 2, 3, 0.5]).should_stop(settings)
        assert not self.run([1, 2, 3]).should_stop(TrainingSettings())

    def test_plateau_reduces_every_patience_epochs(self):
        losses = [1, 2, 2, 2, 2, 2]
        assert self.run(losses, schedule="plateau", plateau_patience=2).reductions == 2
        assert self.run(losses, schedule="cosine", plateau_patience=2).reductions == 0
        assert self.run([1, 2, 0.5, 2], schedule="plateau", plateau_patience=2).reductions == 0

    def test_json_round_trip(self):
        for selection in (Selection(), self.run([3, 2, 4])):
            assert Selection.from_dict(selection.as_dict()) == selection
