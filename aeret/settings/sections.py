"""Define and validate every setting: one frozen model per section, one docstring per field.

A section belongs to the stage of the same name; ``data`` and ``seed`` belong to all. Unknown keys are errors, and so
are names that no registry of :mod:`aeret.names` has.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from aeret import names
from aeret.settings.fields import Count, Positive, Section, one_of
from aeret.settings.networks import (
    AutoencoderSettings,
    CnnSettings,
    LatentSettings,
)

Features = Annotated[str, one_of(("cnn",), names.CLASSIC_FEATURES)]
Technique = Annotated[str, one_of(names.FEATURE_SELECTION)]


class DataSettings(Section):
    """Which collection, and how it is prepared."""

    manifest: str = "scenes"
    """A manifest: the path of a YAML file, or the name of one that ships with aeret (``aeret data list``)."""
    photo_size: Annotated[int, Field(ge=16, le=1024)] = 112
    """Side in pixels of the square that photos are stored at (stretched, not cropped)."""
    mask_size: Annotated[int, Field(ge=8, le=256)] = 32
    """Side in cells of the square that masks are rasterised at; the autoencoder's input resolution."""
    mask_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A cell belongs to a category when at least this share of its area is covered."""
    crowd: Literal["skip", "include"] = "skip"
    """``iscrowd=1`` annotations: left out of labels and masks, or treated like any other."""
    unlabelled: Literal["drop", "keep"] = "drop"
    """Photos without any (kept) annotation: left out and counted, or kept with no label."""
    validation_fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    """Share of the *train* split held out to choose checkpoints; queries never choose anything."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Decides which train photos are held out. Apart from ``seed``, so that runs with other seeds share the prepared
    data and are compared on the same photos."""
    background: Literal["keep", "mask", "grabcut", "random-mask"] = "keep"
    """What is done to the background of photos, never to masks or labels: ``keep``; ``mask`` removes what no mask of
    the photo covers (an oracle: a user's photo has no masks); ``grabcut`` guesses the foreground (Rother et al. 2004,
    needs the extra ``grabcut``); ``random-mask`` removes as much as ``mask`` does, but around the shape of another
    photo's masks: the control that tells less background from fewer pixels."""
    background_fill: Literal["mean", "black", "blur"] = "mean"
    """What takes the place of a removed background: the mean colour of train photos, black, or the photo, blurred."""
    background_splits: Literal["all", "query"] = "all"
    """Whether the background is removed from all photos, or from the queries only."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that decode photos, and threads that rasterise masks; 0 means one per core. Never changes a result."""


class AuditSettings(Section):
    """The audit of splits (stage ``audit``)."""

    near_duplicates: Literal["fail", "warn", "off"] = "fail"
    """A photo that is learnt from and looks the same as one that is searched: the run fails, or lists it and goes on,
    or does not look. The same photo, by id, name or bytes, always fails the run."""
    allow: tuple[str | int | tuple[str | int, str | int], ...] = ()
    """Leaks that are known and accepted: a file name or photo id, or a pair of them (``[[a.jpg, b.jpg], 42]``). The
    manifest's ``known_leaks`` are accepted as well."""


class EmbedSettings(Section):
    """Embeddings of photos (stage ``embed``)."""

    features: Features = "cnn"
    """Embeddings of the joint CNN, or a classic feature as a floor under it, for which no network is trained. What such
    a feature knows of layout and labels is read out by ridge regression fitted on train."""
    photos: str = ""
    """A folder of photos to embed; empty means the prepared query and gallery splits."""
    normalise: Literal["l2", "none"] = "l2"
    batch_size: Count = 256
    part_size: Count = 4096
    """Photos in one numbered part; a killed run resumes at the first missing part."""


class ClusterSettings(Section):
    """Clusters, retrieval and measures (stage ``cluster-eval``)."""

    clusters: Count = 80
    """k of k-means. Pairwise F depends on it: keep it fixed across the methods you compare."""
    starts: Count = 3
    """k-means++ starts; the one with the lowest inertia is kept."""
    iterations: Count = 100
    results: Annotated[int, Field(ge=10)] = 100
    """N: results kept per query in the rankings."""
    order: Literal["sequential", "pooled"] = "sequential"
    """Cluster-first order: exhaust clusters one by one (the paper's), or pool those visited and rank together.
    Both are reported; this one leads."""
    similarity: Literal["cosine", "euclidean"] = "cosine"
    """Of embeddings. Others are for searches without clusters: k-means has no means for a dot product or for bits."""
    cutoffs: Annotated[tuple[Count, ...], Field(min_length=1)] = (2, 5, 8, 10)
    """N of P@N, R@N and F@N; one above ``results`` is refused."""
    resamples: Count = 30
    """Random query samples ("simulations") behind mean, sd and interval of the cut-off table."""
    resample_fraction: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the queries in one resample."""
    layout_similarity: Literal["cosine", "euclidean", "dot", "hamming"] = "cosine"
    """How predicted codes are compared with the query's own mask code; ``hamming`` compares their signs."""
    examples: Annotated[int, Field(ge=1, le=50)] = 6
    """Best and worst queries shown in the report."""

    @model_validator(mode="after")
    def _cutoffs_are_found(self) -> ClusterSettings:
        if max(self.cutoffs) > self.results:
            raise ValueError(
                f"cutoffs reach to {max(self.cutoffs)}, and only results={self.results} are kept per query; raise "
                "evaluation.results or lower evaluation.cutoffs"
            )
        return self


class FeatureSelectionSettings(Section):
    """Which variables carry the answer (stage ``feature-selection``, in a pipeline when it is named there)."""

    datasets: Literal["digits", "embedding", "both"] = "both"
    """``digits``: the pixels of scikit-learn's digits and a softmax classifier; ``embedding``: the run's own dimensions
    and retrieval."""
    methods: Annotated[tuple[Technique, ...], Field(min_length=1)] = tuple(names.FEATURE_SELECTION)
    """Techniques; ``centre-out`` is for pictures and left out for an embedding."""
    dimensions: tuple[Count, ...] = ()
    """Numbers of variables to measure at; the whole number is always one. Empty means a grid that suits the dataset."""
    repetitions: Count = 200
    """Random subsets of each size on the digits."""
    embedding_repetitions: Count = 30
    """The same on the embedding."""
    measure: str = "nDCG(rel=jaccard)@10"
    """What retrieval is measured by: a measure by labels with a cut-off (``aeret metrics list``)."""
    photos: Annotated[int, Field(ge=20)] = 1000
    """Of more queries, or of a larger gallery, a seeded sample of so many is used."""
    l2: Positive = 1e-4
    """Penalty of the softmax classifier: ``l2 / 2`` times the sum of squared weights beside the mean cross-entropy."""
    greedy_block: Annotated[int, Field(ge=0)] = 0
    """Variables that a round of greedy search adds; 0 means 1 of up to 64, one 32nd of more."""
    population: Annotated[int, Field(ge=3)] = 24
    """Subsets of one generation of the genetic algorithm."""
    generations: Count = 10
    threads: Annotated[int, Field(ge=0)] = 0
    """0 means one per core. Never changes a result."""


class Settings(Section):
    """All settings of one run."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Seeds initial weights, data order, augmentation, k-means and resamples; the same seed gives the same numbers."""
    data: DataSettings = DataSettings()
    audit: AuditSettings = AuditSettings()
    autoencoder: AutoencoderSettings = AutoencoderSettings()
    latents: LatentSettings = LatentSettings()
    cnn: CnnSettings = CnnSettings()
    embed: EmbedSettings = EmbedSettings()
    evaluation: ClusterSettings = ClusterSettings()
    feature_selection: FeatureSelectionSettings = FeatureSelectionSettings()

    @model_validator(mode="after")
    def _sizes_fit(self) -> Settings:
        if self.cnn.input_size > self.data.photo_size:
            raise ValueError(
                f"cnn.input_size={self.cnn.input_size} is larger than data.photo_size={self.data.photo_size}; "
                "photos would be enlarged. Raise data.photo_size or lower cnn.input_size"
            )
        return self


PACE_ONLY: dict[str, tuple[str, ...]] = {
    "data": ("workers",),
    "embed": ("part_size",),
    "feature_selection": ("threads",),
}
"""Settings that change how fast a result is there, never what it is; artifacts do not depend on them."""

IDLE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "data": ("background", "keep", ("background", "background_fill", "background_splits")),
    "embed": ("features", "cnn", ("features",)),
}
"""Section to a setting, its value that leaves everything as it is, and the settings that then decide nothing: no
artifact depends on them, so an artifact that was made before they were there still holds."""
