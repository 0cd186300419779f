"""Manifests: which files a collection is made of, and how its photos divide into train, query and gallery.

A manifest is a YAML file (docs in ``data_manifests/README.md``)::

    name: coco2017
    description: COCO 2017, 80 categories
    licence: annotations CC BY 4.0
    root: ${AERET_DATA:-../../shared/data}/coco2017     # relative to this file
    sources:
      train: {photos: train2017, annotations: annotations/instances_train2017.json}
      val:   {photos: val2017, annotations: annotations/instances_val2017.json}
    splits:
      train: train
      query: {source: val, part: "0:0.2"}                # a deterministic share, by hash of the photo id
      gallery: {source: val, part: "0.2:1"}

``train`` shares no photo with ``query`` or ``gallery``. Query and gallery share none either, or are one and the same
(leave-one-out: a photo is never its own result).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from aeret.data.scenes import VERSION as SCENES_VERSION
from aeret.data.scenes import generate_scenes
from aeret.errors import DataError, SettingsError, UnknownNameError
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.settings import read_yaml, validated

BUILT_IN = Path(__file__).with_name("manifests")
"""Folder of the manifests that ship with aeret; in a clone it is a link to ``data_manifests/``."""

SPLITS = ("train", "query", "gallery")

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.(?!$)|$))+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""A name or an address; an internationalised name is written in its ASCII form (``xn--``)."""

_RESERVED = ("artifact.json", "prepared.json", "dropped.csv")
"""Files beside the folders that sources are prepared into."""


def _not_reserved(name: str) -> str:
    if name.lower() in _RESERVED:
        raise ValueError(f"{name!r} is a name that aeret uses itself; choose another")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""One part of a path, on any system."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Download(_Part):
    """One file to fetch; a zip archive is unpacked into the manifest's root."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes; absent where not known."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """Absent where not known: never guessed."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _can_be_asked_for(cls, url: str) -> str:
        if not re.fullmatch(r"[!-~]+", url):
            raise ValueError(
                f"expected a URL of plain ASCII without spaces or line ends (use %20 and such), got {url!r}"
            )
        try:
            parts = urlsplit(url)
            sound = _HOST.fullmatch(parts.hostname or "") and "@" not in parts.netloc and parts.port != 0
        except ValueError:
            sound = False
        if not sound:
            raise ValueError(f"expected https://host/path/file or https://host:port/path/file, got {url!r}")
        return url

    @model_validator(mode="after")
    def _names_a_file(self) -> Self:
        if not re.fullmatch(r"\w[\w.%+-]*", self.file_name):
            raise ValueError(f"expected a URL that ends in a file name, got {self.url!r}")
        return self

    @property
    def file_name(self) -> str:
        """Last part of the URL's path."""
        return self.url.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]


class Source(_Part):
    """A folder of photos and the COCO-format file that annotates them."""

    photos: Path
    annotations: Path
    urls: tuple[Download, ...] = ()
    """Where both come from, if they can be fetched."""


class Split(_Part):
    """A source, or a part of it."""

    source: str
    part: tuple[float, float] | None = None
    """Keep photos whose id hashes into ``[from, to)`` of the unit interval; written ``"0:0.2"``."""
    ids: Path | None = None
    """Keep the photos named in this text file, one id a line."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"source": value} if isinstance(value, str) else value

    @field_validator("part", mode="before")
    @classmethod
    def _part_from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            fields = value.split(":")
            try:
                value = [float(field) for field in fields]
            except ValueError:
                raise ValueError('expected "from:to", for example "0:0.2"') from None
            if len(value) != 2:
                raise ValueError('expected "from:to", for example "0:0.2"')
        return value

    @field_validator("part")
    @classmethod
    def _part_in_range(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not 0 <= value[0] < value[1] <= 1:
            raise ValueError("expected 0 <= from < to <= 1")
        return value


class Splits(_Part):
    """What each role is played by."""

    train: Split
    query: Split
    gallery: Split

    def __getitem__(self, name: str) -> Split:
        split: Split = lookup({"train": self.train, "query": self.query, "gallery": self.gallery}, name, "split")
        return split

    @property
    def leave_one_out(self) -> bool:
        """Whether queries are searched in their own set, each without itself."""
        return self.query == self.gallery


class Subset(_Part):
    """A named set of query photos that are also measured on their own: those listed in an annotation file."""

    annotations: Path


class Generate(_Part):
    """The collection is not fetched but drawn by :func:`aeret.data.scenes.generate_scenes`."""

    photos: Annotated[int, Field(ge=10)]
    seed: Annotated[int, Field(ge=0)] = 0
    size: tuple[int, int] = (128, 160)
    """Smallest and largest longer side, pixels."""

    @property
    def folder_name(self) -> str:
        """Name of the folder below the root; another for every other content."""
        return f"{self.photos}-photos-seed{self.seed}-{self.size[0]}-{self.size[1]}px-v{SCENES_VERSION}"


class Manifest(_Part):
    """A collection; all paths are absolute (see :func:`load_manifest`)."""

    name: Name
    description: str
    licence: str = ""
    root: Path = Path()
    """Folder that the other paths are relative to; itself relative to the manifest."""
    sources: Annotated[dict[Annotated[Name, AfterValidator(_not_reserved)], Source], Field(min_length=1)]
    splits: Splits
    subsets: dict[Name, Subset] = {}
    identity: Literal["id or file name", "file name"] = "id or file name"
    """What makes two entries of different sources the same photo. ``file name`` is for collections that number the
    photos of each file from 1."""
    known_leaks: tuple[str | int | tuple[str | int, str | int], ...] = ()
    """Photos that train shares with query or gallery, accepted: a file name or photo id, or a pair of them. The audit
    lists them and goes on."""
    generate: Generate | None = None
    path: Path = Path()
    """The manifest itself."""

    @field_validator("splits")
    @classmethod
    def _sources_exist(cls, splits: Splits, info: ValidationInfo) -> Splits:
        sources = info.data.get("sources", {})
        for name in SPLITS if sources else ():
            try:
                lookup(sources, splits[name].source, "source")
            except UnknownNameError as error:
                raise ValueError(f"split {name!r}: {error}") from None
        return splits

    @field_validator("sources")
    @classmethod
    def _one_file_one_content(cls, sources: dict[str, Source]) -> dict[str, Source]:
        seen: dict[str, Download] = {}
        for item in (item for source in sources.values() for item in source.urls):
            if seen.setdefault(item.file_name, item) != item:
                raise ValueError(f"{item.file_name!r} is given twice, with another url, size or sha256")
        return sources

    @model_validator(mode="after")
    def _subsets_are_named_apart(self) -> Self:
        if "all" in self.subsets:
            raise ValueError("a subset cannot be called 'all': that is every query")
        return self

    @property
    def downloads(self) -> tuple[Download, ...]:
        """Every file to fetch, once."""
        items = [item for source in self.sources.values() for item in source.urls]
        return tuple({item.file_name: item for item in items}.values())

    @property
    def used_sources(self) -> tuple[str, ...]:
        """Names of the sources that a split draws from, in the order train, query, gallery."""
        return tuple(dict.fromkeys(self.splits[name].source for name in SPLITS))


def built_in_manifests() -> dict[str, Path]:
    """Return name to path of the manifests that ship with aeret."""
    return {path.stem: path.resolve() for path in sorted(BUILT_IN.glob("*.yaml"))}


def load_manifest(name_or_path: str | Path, root: Path | None = None) -> Manifest:
    """Read a manifest and make its paths absolute.

    ``${NAME}`` and ``${NAME:-default}`` in a path take an environment variable. A relative path is relative to
    ``root``, and ``root`` to the manifest's folder; a relative value from the environment is relative to the working
    directory.

    Args:
        name_or_path: the path of a YAML file, or the name of a manifest that ships with aeret.
        root: used instead of the manifest's own root.

    Raises:
        DataError: no such manifest, or it does not fit the schema; every problem with its line.
    """
    path = _find(name_or_path)
    try:
        tree = read_yaml(path)
        plain: dict[str, Any] = {str(key): value for key, value in tree.items()}
        if "path" in plain:
            raise SettingsError(f"{path}: path: there is no such key.")
        manifest: Manifest = validated(Manifest, plain, tree, str(path))
    except SettingsError as error:
        raise DataError(str(error).replace("no such setting", "no such key")) from None
    base = root.absolute() if root else _absolute(manifest.root, path.parent, path)
    if manifest.generate:
        base = base / manifest.generate.folder_name
    return manifest.model_copy(
        update={
            "path": path,
            "root": base,
            "sources": {
                name: source.model_copy(
                    update={
                        "photos": _absolute(source.photos, base, path),
                        "annotations": _absolute(source.annotations, base, path),
                    }
                )
                for name, source in manifest.sources.items()
            },
            "splits": Splits(**{name: _with_ids(manifest.splits[name], base, path) for name in SPLITS}),
            "subsets": {
                name: Subset(annotations=_absolute(subset.annotations, base, path))
                for name, subset in manifest.subsets.items()
            },
        }
    )


def provide(manifest: Manifest, workers: int = 0, progress: Progress = silent) -> None:
    """Make sure that the manifest's files are there: draw them if it has a ``generate`` block, else only look.

    Args:
        manifest: as loaded.
        workers: processes that draw; 0 means one per core.
        progress: opens the bar of the drawing.

    Raises:
        DataError: files are missing; the message says where they are expected and how to get them.
    """
    if manifest.generate:
        block = manifest.generate
        generate_scenes(manifest.root, block.photos, block.seed, block.size, workers, progress)
    missing: list[Path] = []
    for name in manifest.used_sources:
        source = manifest.sources[name]
        missing += [path for path in (source.annotations,) if not path.is_file()]
        missing += [path for path in (source.photos,) if not path.is_dir()]
    missing += [item.annotations for item in manifest.subsets.values() if not item.annotations.is_file()]
    missing += [ids for ids in (manifest.splits[name].ids for name in SPLITS) if ids is not None and not ids.is_file()]
    if missing:
        listed = "".join(f"\n  {path}" for path in dict.fromkeys(missing))
        mend = f"Run `aeret data fetch {manifest.name}`, or" if manifest.downloads else "Put the files there, or"
        raise DataError(
            f"{manifest.path}: files of {manifest.name!r} are missing:{listed}\n"
            f"{mend} set AERET_DATA or the manifest's `root` to the folder that holds them."
        )


def _find(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.suffix in {".yaml", ".yml"} or path.is_file() or len(path.parts) != 1:
        if not path.is_file():
            raise DataError(
                f"{path}: no such manifest file; give its path, or a name: {', '.join(built_in_manifests())}."
            )
        return path.resolve()
    try:
        return lookup(built_in_manifests(), text, "manifest")
    except UnknownNameError as error:
        raise DataError(f"{error} Or give the path of a YAML file.") from None


def _with_ids(split: Split, base: Path, manifest: Path) -> Split:
    return split.model_copy(update={"ids": _absolute(split.ids, base, manifest)}) if split.ids else split


def _absolute(path: Path, base: Path, manifest: Path) -> Path:
    """Fill in environment variables, then resolve against ``base``."""

    def fill(match: re.Match[str]) -> str:
        value = os.environ.get(match["name"])
        if value:
            return str(Path(value).expanduser().absolute()) if match.start() == 0 else value
        if match["default"] is None:
            raise DataError(
                f"{manifest}: {path}: the environment variable {match['name']} is not set; "
                f"set it (export {match['name']}=/a/folder) or write the folder into the manifest."
            )
        return match["default"]

    filled = Path(_VARIABLE.sub(fill, str(path))).expanduser()
    return Path(os.path.normpath(base / filled))
