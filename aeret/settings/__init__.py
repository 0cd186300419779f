"""Settings: YAML and overrides in, typed, validated, frozen values out."""

from aeret.settings.load import override_keys, plain, read_yaml, settings_from, validated
from aeret.settings.networks import (
    AutoencoderSettings,
    AutoencoderTraining,
    CnnSettings,
    LatentSettings,
    TrainingSettings,
)
from aeret.settings.sections import (
    IDLE,
    PACE_ONLY,
    AuditSettings,
    ClusterSettings,
    DataSettings,
    EmbedSettings,
    FeatureSelectionSettings,
    Settings,
)

__all__ = [
    "IDLE",
    "PACE_ONLY",
    "AuditSettings",
    "AutoencoderSettings",
    "AutoencoderTraining",
    "ClusterSettings",
    "CnnSettings",
    "DataSettings",
    "EmbedSettings",
    "FeatureSelectionSettings",
    "LatentSettings",
    "Settings",
    "TrainingSettings",
    "override_keys",
    "plain",
    "read_yaml",
    "settings_from",
    "validated",
]
