"""Run the stage ``prepare``: turn photos and annotations into memory-mapped arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.artifacts import digest
from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages.outside_files import file_digests, one_digest

if TYPE_CHECKING:
    from aeret.data.manifest import Manifest

NAME = "prepare"
SUMMARY = "Decode photos and rasterise masks into memory-mapped arrays."
INPUTS: tuple[str, ...] = ()
SECTIONS = ("data",)
FILE_SETTINGS = ("data.manifest",)


def sources(settings: Settings) -> dict[str, str]:
    """Return the content digests of the collection's files, by what they are.

    A generated collection is decided by its manifest alone. Otherwise every annotation, subset and id file is read, and
    every photo that an annotation file names, if it is new or has changed since it was last read. The digest covers the
    folder of the photos, because the prepared data names their paths. Only manifest fields that affect the content are
    hashed, so its comments, licence or URLs may be edited.

    Raises:
        DataError: a file is missing; the message says where it is expected.
    """
    from aeret.data.coco_json import read_file_names
    from aeret.data.manifest import SPLITS, load_manifest, provide

    manifest = load_manifest(settings.data.manifest)
    found = {"manifest": digest(_meaning(manifest))}
    if manifest.generate:
        return found | {"photos": digest([str(manifest.root)])}
    provide(manifest)
    for name in manifest.used_sources:
        source = manifest.sources[name]
        found[f"annotations {name}"] = one_digest(source.annotations)
        photos = file_digests(source.photos, read_file_names(source.annotations))
        found[f"photos {name}"] = digest([str(source.photos), photos])
    found |= {f"subset {name}": one_digest(subset.annotations) for name, subset in manifest.subsets.items()}
    lists = {name: ids for name in SPLITS if (ids := manifest.splits[name].ids) is not None}
    return found | {f"ids {name}": one_digest(ids) for name, ids in lists.items()}


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Prepare the collection into ``out`` and return its counts (see :func:`aeret.data.prepare.prepare`).

    Raises:
        UsageError: the gallery has fewer photos than evaluation.clusters.
    """
    from aeret.data.manifest import load_manifest
    from aeret.data.prepare import prepare

    manifest = load_manifest(settings.data.manifest)
    clusters = settings.evaluation.clusters
    return prepare(manifest, settings.data, settings.data.split_seed, out, progress, clusters)


def _meaning(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest fields that affect the content."""
    values = manifest.model_dump(mode="json", include={"name", "splits", "subsets", "identity", "generate"})
    used = {name: manifest.sources[name] for name in manifest.used_sources}
    return values | {"sources": {name: [str(source.photos), str(source.annotations)] for name, source in used.items()}}
