"""Defaults that stay, and names and numbers that are refused before anything is computed."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from aeret.errors import SettingsError
from aeret.pipeline.pipelines import settings_of_file
from aeret.settings import AutoencoderSettings, CnnSettings, LatentSettings, Settings


@pytest.mark.parametrize(
    "change", ["autoencoder.training.batch_size=32", "autoencoder.training.epochs=3", "cnn.training.batch_size=32"]
)
def test_setting_one_key_changes_only_that_key(change: str) -> None:
    key, _, value = change.partition("=")
    section, training, name = key.split(".")
    expected = Settings().model_dump()
    expected[section][training][name] = int(value)
    assert settings_of_file(None, [change]).model_dump() == expected


def test_the_names_of_settings_are_those_of_the_registries() -> None:
    from aeret.data.encodings import MASK_ENCODINGS
    from aeret.losses.labels import LABEL_LOSSES
    from aeret.losses.latent import LATENT_LOSSES
    from aeret.losses.reconstruction import RECONSTRUCTION_LOSSES
    from aeret.models.autoencoder.corruption import CORRUPTIONS
    from aeret.models.autoencoder.model import AUTOENCODERS
    from aeret.models.autoencoder.sparsity import SPARSITY_PENALTIES
    from aeret.models.latents import NORMALISATIONS
    from aeret.models.pooling import POOLINGS
    from aeret.training.pretraining import PRETRAININGS

    names: list[tuple[Any, str, typing.Iterable[str]]] = [
        (AutoencoderSettings, "architecture", AUTOENCODERS),
        (AutoencoderSettings, "mask_encoding", MASK_ENCODINGS),
        (AutoencoderSettings, "loss", RECONSTRUCTION_LOSSES),
        (AutoencoderSettings, "corruption", ["none", *CORRUPTIONS]),
        (AutoencoderSettings, "sparsity_kind", SPARSITY_PENALTIES),
        (LatentSettings, "normalisation", NORMALISATIONS),
        (CnnSettings, "pooling", POOLINGS),
        (CnnSettings, "pretraining", ["none", *PRETRAININGS]),
        (CnnSettings, "latent_loss", LATENT_LOSSES),
        (CnnSettings, "label_loss", LABEL_LOSSES),
    ]
    for section, field, registry in names:
        assert set(typing.get_args(section.model_fields[field].annotation)) == set(registry), field


@pytest.mark.parametrize(
    "change",
    [
        "evaluation.cutoffs=[]",
        "evaluation.cutoffs=[5, 0]",
        "cnn.training.learning_rate=.inf",
        "autoencoder.training.learning_rate=.nan",
        "cnn.latent_weight=.inf",
        "cnn.backbone=resnet81",
        "cnn.latent_loss=mes",
        "cnn.label_loss=bec",
        "autoencoder.architecture=cnov",
        "autoencoder.mask_encoding=onehto",
        "autoencoder.loss=dice",
        "latents.normalisation=zscroe",
    ],
)
def test_what_could_only_fail_late_is_refused_at_once(change: str) -> None:
    with pytest.raises(SettingsError, match=rf"^--set '{change.partition('=')[0]}="):
        settings_of_file(None, [change])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"transfer": "frozen"}, "set weights or pretraining too"),
        ({"weights": "a.keras", "pretraining": "layer-wise"}, "two starts of one backbone"),
        ({"pretraining": "gan"}, "cnn.backbone=dcgan-discriminator"),
        ({"weights": "imagenet", "backbone": "alexnet"}, "only for vgg19 and resnet18"),
        ({"weights": "a.keras", "transfer": "frozen", "arm": "shuffled-latents"}, "nothing to differ in"),
        ({"weights": "a.keras", "transfer": "fine-tuned", "training": {"epochs": 1}}, "two phases"),
    ],
)
def test_a_start_that_makes_no_sense_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CnnSettings(**changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["evaluation.cutoffs=[2, 200]"], r"only results=100 are kept .* raise evaluation.results .*cutoffs\.$"),
        (["autoencoder.tied=true"], r"belong to the dense autoencoder.*set autoencoder.architecture=dense"),
        (["cnn.training.optimizer=sgd", "cnn.training.weight_decay=0.1"], "set cnn.training.weight_decay=0, and"),
        (
            ["autoencoder.training.optimizer=adam", "autoencoder.training.weight_decay=0.1"],
            r"'adam' would ignore it; set autoencoder.training.weight_decay=0, .* the loss\.$",
        ),
    ],
)
def test_a_setting_that_would_be_ignored_is_refused(changes: list[str], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        settings_of_file(None, changes)


def test_imagenet_is_offered_where_there_are_weights() -> None:
    from aeret.models.weights import IMAGENET

    for name in IMAGENET:
        assert CnnSettings(weights="imagenet", backbone=name).weights == "imagenet"
