"""Run the stage ``embed``: photos to embeddings, predicted codes and label scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aeret.progress import Progress
from aeret.settings import Settings

NAME = "embed"
SUMMARY = "Embed the query and gallery photos, or a folder of photos, with the joint CNN or a classic feature."
INPUTS = ("prepare", "train-cnn")
SECTIONS = ("embed",)
FILE_SETTINGS = ("embed.photos",)


def inputs(settings: Settings) -> tuple[str, ...]:
    """Return the stages read: a classic feature needs no network, but the codes that its read-out is fitted to."""
    return INPUTS if settings.embed.features == "cnn" else ("prepare", "encode-masks")


def sources(settings: Settings) -> dict[str, str]:
    """Return the digest of the photos to embed, where they are a folder and not a prepared split."""
    from aeret.artifacts import digest
    from aeret.data.photos import photos_in
    from aeret.stages.outside_files import file_digests

    if not settings.embed.photos:
        return {}
    folder = Path(settings.embed.photos).expanduser()
    return {"photos": digest(file_digests(folder.absolute(), (photo.path for photo in photos_in(folder.absolute()))))}


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write one :class:`aeret.embeddings.store.EmbeddingSet` a split into ``out``: ``query/`` and ``gallery/``.

    When the two are the same photos only ``gallery/`` is written. With ``embed.photos`` it is ``photos/`` instead,
    whose ids count the files in order of their path. Matrices beside the vectors: ``codes`` float32 (n, m), normalised
    as the training target was, and ``label_scores`` float32 (n, categories).
    """
    import numpy as np

    from aeret.data.photos import decode_batches, photos_in
    from aeret.data.prepared import Prepared
    from aeret.embeddings.encode import write_parts
    from aeret.embeddings.normalise import NORMALISATIONS
    from aeret.embeddings.store import EmbeddedPhotos

    started = time.perf_counter()
    embedder = _joint(inputs) if settings.embed.features == "cnn" else _classic(settings, inputs, out, progress)
    fitted = time.perf_counter()
    normalise = NORMALISATIONS[settings.embed.normalise]
    batch = settings.embed.batch_size
    counts: dict[str, int] = {}

    def embed(name: str, ids: Any, batches: Callable[[Any], Iterable[Any]], columns: dict[str, Any]) -> None:
        def encode(rows: Any) -> dict[str, Any]:
            photos = batches([rows[start : start + batch] for start in range(0, len(rows), batch)])
            found = [
                (normalise(each["embedding"]), each["code"], each["label_scores"])
                for each in embedder(photos, len(rows))
            ]
            parts = (np.concatenate(each).astype(np.float32) for each in zip(*found, strict=True))
            return dict(zip(("vectors", "codes", "label_scores"), parts, strict=True))

        write_parts(
            out / name,
            ids,
            encode,
            part_size=settings.embed.part_size,
            columns=columns,
            made_by=[settings.embed.features, *(folder.name for folder in inputs.values()), settings.embed.normalise],
            progress=progress,
            title=f"embed {name}",
        )
        counts[name] = len(ids)

    if settings.embed.photos:
        # Absolute, as the digest of them is: the artifact is the same from any working folder.
        files = photos_in(Path(settings.embed.photos).expanduser().absolute())

        def decode(chunks: Any) -> Iterable[Any]:
            chosen = [[files[row] for row in rows] for rows in chunks]
            return decode_batches(chosen, settings.data.photo_size, settings.data.workers)

        names = np.array([photo.path for photo in files])
        embed(EmbeddedPhotos.FOLDER, np.arange(len(files)), decode, {"file_name": names})
    else:
        prepared = Prepared.open(inputs["prepare"])
        splits = (EmbeddedPhotos.QUERY, EmbeddedPhotos.GALLERY)
        for name in splits[1:] if prepared.leave_one_out else splits:
            split = prepared.split(name)
            embed(name, split.photo_ids, partial(map, split.photos), {"file_name": np.array(split.file_names)})
    seconds = time.perf_counter() - fitted
    metrics = {"photos": counts, "photos_per_second": round(sum(counts.values()) / seconds, 1)}
    if settings.embed.features != "cnn":
        metrics |= {"features": settings.embed.features, "fit_seconds": round(fitted - started, 1)}
    return metrics


Embedder = Callable[[Iterable[Any], int], Iterator[Mapping[str, Any]]]
"""From batches of photos uint8 (b, S, S, 3), and how many photos they are in all, to ``embedding``, ``code`` and
``label_scores`` of each batch."""


def _joint(inputs: Mapping[str, Path]) -> Embedder:
    from aeret.models.saved_joint import SavedJoint

    model = SavedJoint.load(inputs["train-cnn"])
    return lambda batches, count: map(model.predict, batches)


def _classic(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> Embedder:
    from aeret.stages.classic_embedding import fitted

    return fitted(settings, inputs, out, progress).predict
