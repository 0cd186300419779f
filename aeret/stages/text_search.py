"""Search a finished run by text; no stage of its own: it reads the artifacts that the run's stages left.

Heavy packages are imported inside functions only, as in every stage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.retrieval.similarity_names import TEXT_LAYOUTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aeret.data.prepared import PreparedSplit
    from aeret.embeddings.store import EmbeddingSet
    from aeret.retrieval.text.layout import Layout
    from aeret.retrieval.text.scene import Scene
    from aeret.retrieval.text.search import Floats, TextResult
    from aeret.retrieval.text.typical import Typical

NEEDED = ("prepare", "encode-masks", "embed")
"""Stages whose artifacts a text search reads."""
LAYOUT_SIMILARITIES = TEXT_LAYOUTS
"""How a photo's layout is compared with the query: ``relations`` asks the masks decoded from its predicted code
(:mod:`aeret.retrieval.text.evidence`); the others compile the query to a layout, and compare its code with the
predicted one, or (``layout``) the overlap of its masks with those decoded."""
_LEARN_FROM = 4000
"""Train photos that usual sizes are learnt from, evenly spaced; more change a median in the third digit."""
_AT_ONCE = 512
MOST_KEPT = 10**9
"""Bytes of decoded masks that a searcher keeps between queries."""
_log = logging.getLogger(__name__)


class TextSearcher:
    """One run's gallery, opened once for many queries."""

    def __init__(self, inputs: Mapping[str, Path], similarity: str = "relations") -> None:
        """Open a run.

        Args:
            inputs: the artifacts of :data:`NEEDED`.
            similarity: one of :data:`LAYOUT_SIMILARITIES`.

        Raises:
            DataError: an artifact is missing or damaged.
            UnknownNameError: no such similarity.
        """
        from aeret.data.prepared import Prepared
        from aeret.registry import lookup
        from aeret.retrieval.text.vocabulary import Vocabulary

        lookup(dict.fromkeys(LAYOUT_SIMILARITIES), similarity, "layout similarity")
        self.inputs, self.similarity = inputs, similarity
        self._kept: list[NDArray[Any]] | None = None
        self.prepared = Prepared.open(inputs["prepare"])
        self.names = tuple(category.name for category in self.prepared.categories)
        self.vocabulary = Vocabulary.of(self.names)

    @cached_property
    def gallery(self) -> EmbeddingSet:
        """Embeddings of the gallery: the prepared split, or the folder of photos that was embedded."""
        from aeret.embeddings.store import EmbeddingSet

        folder = self.inputs["embed"]
        return EmbeddingSet.open(folder / ("gallery" if self.photos() else "photos"))

    @cached_property
    def typical(self) -> Typical:
        """Usual sizes and places, learnt from the masks of the train split."""
        import numpy as np

        from aeret.retrieval.text.things import things_of
        from aeret.retrieval.text.typical import typical_of

        masks = self.prepared.split("train").masks
        rows = np.unique(np.linspace(0, len(masks) - 1, min(_LEARN_FROM, len(masks))).round().astype(np.int64))
        return typical_of(things_of(masks.take(rows)), len(self.names))

    @cached_property
    def encoder(self) -> Any:
        """The run's mask encoder (:class:`aeret.models.saved.SavedEncoder`)."""
        from aeret.models.saved import SavedEncoder

        return SavedEncoder.load(self.inputs["encode-masks"])

    def photos(self) -> PreparedSplit | None:
        """Return the gallery's photos, or None where a folder of photos was embedded, of which only names are kept."""
        return None if (self.inputs["embed"] / "photos").is_dir() else self.prepared.split("gallery")

    def compiled(self, scene: Scene) -> Layout:
        """Return the layout that a query is compiled to."""
        from aeret.retrieval.text.layout import compile_layout

        return compile_layout(scene, self.typical)

    def layouts(self, scene: Scene, layout: Layout) -> NDArray[Any]:
        """Return a compiled layout as masks float32 (v, h, w, c): it, and its mirror image where sides are not said."""
        import numpy as np

        masks = layout.coverage(self.encoder.size, len(self.names))
        return np.stack([masks] if scene.says_side else [masks, masks[:, ::-1]])

    def parts(self, scenes: Sequence[Scene]) -> list[dict[str, Floats]]:
        """Return the distances of the whole gallery for some queries: ``labels``, and ``layout`` where it is said."""
        import numpy as np

        from aeret.retrieval.text.search import code_distances, label_distances

        scores = np.asarray(self.gallery.matrices["label_scores"])
        found = [{"labels": label_distances(scene, scores)} for scene in scenes]
        spatial = [number for number, scene in enumerate(scenes) if scene.things and scene.says_where]
        if not spatial:
            return found
        if self.similarity == "relations":
            for number, values in zip(spatial, self._evidence([scenes[each] for each in spatial]), strict=True):
                found[number]["layout"] = values
            return found
        masks = [self.layouts(scenes[each], self.compiled(scenes[each])) for each in spatial]
        ends = np.cumsum([len(each) for each in masks])
        if self.similarity == "layout":
            distances = self._overlap_distances(np.concatenate(masks))
            for number, start, stop in zip(spatial, [0, *ends], ends, strict=False):
                found[number]["layout"] = distances[start:stop].min(axis=0)
            return found
        codes = np.concatenate(
            [self.encoder.encode_masks(np.concatenate(masks[at : at + 64])) for at in range(0, len(masks), 64)]
        )
        predicted = np.asarray(self.gallery.matrices["codes"])
        for number, start, stop in zip(spatial, [0, *ends], ends, strict=False):
            found[number]["layout"] = code_distances(codes[start:stop], predicted, self.similarity)
        return found

    def search(self, scene: Scene, n: int, weights: Mapping[str, float] | None = None) -> TextResult:
        """Return the best ``n`` photos for a query.

        Raises:
            UsageError: the query contradicts itself, or the weights do not fit.
        """
        from aeret.retrieval.text.search import rank

        self.compiled(scene)  # refuses what contradicts itself, however layouts are compared
        return rank(self.parts([scene])[0], n, weights)

    def _evidence(self, scenes: Sequence[Scene]) -> list[Floats]:
        """Return the distances of the decoded masks to each query."""
        import numpy as np

        from aeret.retrieval.text.evidence import evidence_distances

        encoding = self.encoder.encoding
        count = len(self.names)
        alone = np.zeros((count, 1, 1, count), np.float32)
        alone[np.arange(count), 0, 0, np.arange(count)] = 1
        # The first channel that a category sets is its own, or its supercategory's.
        channels = encoding.encode(alone)[:, 0, 0, :].argmax(axis=1)
        used = np.unique([channels[thing.category] for scene in scenes for thing in scene.things])
        place = np.zeros(int(channels.max()) + 1, np.int64)
        place[used] = np.arange(len(used))
        blocks: list[list[Floats]] = [[] for _ in scenes]
        for maps in self._maps_of(tuple(map(int, used))):
            for block, scene in zip(blocks, scenes, strict=True):
                block.append(evidence_distances(scene, maps, place[channels]))
        return [np.concatenate(block) for block in blocks]

    def _maps_of(self, channels: tuple[int, ...]) -> Iterator[NDArray[Any]]:
        """Yield decoded masks of some channels, uint8 (b, side, side, channels), of block after block of photos.

        All channels are decoded at once and kept for later queries. A photo takes side * side bytes a channel: 80 KiB
        with 80 channels of 32 x 32, 400 MB for 5,000 photos. Where that is more than :data:`MOST_KEPT`, nothing is
        kept, every query decodes again, and a warning says how much it would take.
        """
        import numpy as np

        from aeret.retrieval.text.evidence import kept_maps

        if self._kept is not None:
            for maps in self._kept:
                yield np.moveaxis(maps[list(channels)], 0, -1)
            return
        codes = np.asarray(self.gallery.matrices["codes"])
        kept: list[NDArray[Any]] | None = []
        for start in range(0, len(codes), _AT_ONCE):
            maps = kept_maps(self.encoder.decode(codes[start : start + _AT_ONCE]))
            estimate = maps[0].nbytes * len(codes)
            if kept is not None and estimate > MOST_KEPT:
                _log.warning(
                    "The decoded masks of %d photos would take %.0f MB, more than the %.0f MB kept between queries; "
                    "every query decodes them again.",
                    *(len(codes), estimate / 1e6, MOST_KEPT / 1e6),
                )
                kept = None
            if kept is not None:
                kept.append(np.ascontiguousarray(np.moveaxis(maps, -1, 0)))  # a query reads its channels alone
            yield maps[..., list(channels)]
        self._kept = kept

    @cached_property
    def _decoded(self) -> Any:
        """Masks decoded from the predicted codes, once for all queries, as bit planes (8 KiB for 64 x 64 cells)."""
        import numpy as np

        from aeret.retrieval.similarities import decoded_planes

        codes = np.asarray(self.gallery.matrices["codes"])
        starts = range(0, len(codes), _AT_ONCE)
        return decoded_planes(self.encoder.decode(codes[start : start + _AT_ONCE]) for start in starts)

    def _overlap_distances(self, masks: NDArray[Any]) -> Any:
        import numpy as np

        from aeret.retrieval.mask_overlap import MaskOverlap, planes_of

        queries = planes_of(self.encoder.encoding.encode(masks) >= 0.5)
        overlap = MaskOverlap(queries, self._decoded, np.full(len(queries), -1, np.int64))
        return 1 - overlap.all(np.arange(len(queries))).astype(np.float64)
