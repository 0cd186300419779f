"""Search a finished run by text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    from aeret.search.decoded_masks import DecodedMasks

NEEDED = ("prepare", "encode-masks", "embed")
"""Stages whose artifacts a text search reads."""
_MOST_TRAIN_PHOTOS = 4000  # more change the median sizes in the third digit only


class TextSearcher:
    """Gallery of one run, opened once for many text queries."""

    def __init__(self, inputs: Mapping[str, Path], similarity: str = "relations") -> None:
        """Open a run.

        Args:
            inputs: the artifacts of :data:`NEEDED`.
            similarity: how layouts are compared. ``relations`` scores the masks decoded from each photo's predicted
                code; the others compile the query to a layout and compare its code with the predicted one
                (``cosine``, ``euclidean``) or its masks with the decoded ones (``layout``).

        Raises:
            DataError: an artifact is missing or damaged.
            UnknownNameError: the similarity does not exist.
        """
        from aeret.data.prepared import Prepared
        from aeret.registry import lookup
        from aeret.retrieval.text.vocabulary import Vocabulary

        lookup(dict.fromkeys(TEXT_LAYOUTS), similarity, "layout similarity")
        self.inputs, self.similarity = inputs, similarity
        self.prepared = Prepared.open(inputs["prepare"])
        self.names = tuple(category.name for category in self.prepared.categories)
        self.vocabulary = Vocabulary.of(self.names)

    @cached_property
    def gallery(self) -> EmbeddingSet:
        """Embeddings of the gallery, or of the embedded folder of photos."""
        from aeret.embeddings.store import EmbeddedPhotos

        return EmbeddedPhotos(self.inputs["embed"]).searched

    @cached_property
    def typical(self) -> Typical:
        """Typical sizes and positions, learnt from the masks of the train split."""
        import numpy as np

        from aeret.retrieval.text.things import things_of
        from aeret.retrieval.text.typical import typical_of

        masks = self.prepared.split("train").masks
        rows = np.linspace(0, len(masks) - 1, min(_MOST_TRAIN_PHOTOS, len(masks))).round().astype(np.int64)
        return typical_of(things_of(masks.take(np.unique(rows))), len(self.names))

    @cached_property
    def encoder(self) -> Any:
        """Mask encoder of the run (:class:`aeret.models.saved.SavedEncoder`)."""
        from aeret.models.saved import SavedEncoder

        return SavedEncoder.load(self.inputs["encode-masks"])

    @cached_property
    def decoded(self) -> DecodedMasks:
        """Masks decoded from the gallery's predicted codes."""
        from aeret.search.decoded_masks import DecodedMasks

        return DecodedMasks(self.encoder, self.gallery.matrices["codes"])

    def photos(self) -> PreparedSplit | None:
        """Return the gallery's prepared photos, or None if a folder of photos was embedded."""
        from aeret.embeddings.store import EmbeddedPhotos

        return self.prepared.split("gallery") if EmbeddedPhotos(self.inputs["embed"]).has_splits else None

    def compiled(self, scene: Scene) -> Layout:
        """Return the layout that a query compiles to."""
        from aeret.retrieval.text.layout import compile_layout

        return compile_layout(scene, self.typical)

    def search(self, scene: Scene, n: int, weights: Mapping[str, float] | None = None) -> TextResult:
        """Return the best ``n`` photos for a query.

        Raises:
            UsageError: the query contradicts itself, or the weights do not fit.
        """
        from aeret.retrieval.text.search import rank

        self.compiled(scene)  # refuses a contradiction, whatever the similarity
        return rank(self.parts([scene])[0], n, weights)

    def parts(self, scenes: Sequence[Scene]) -> list[dict[str, Floats]]:
        """Return each query's distances over the gallery: ``labels``, and ``layout`` for spatial queries."""
        import numpy as np

        from aeret.retrieval.text.search import label_distances

        scores = np.asarray(self.gallery.matrices["label_scores"])
        found = [{"labels": label_distances(scene, scores)} for scene in scenes]
        spatial = [number for number, scene in enumerate(scenes) if scene.things and scene.says_where]
        if spatial:
            asked = [scenes[number] for number in spatial]
            distances = self._evidence(asked) if self.similarity == "relations" else self._layout_distances(asked)
            for number, values in zip(spatial, distances, strict=True):
                found[number]["layout"] = values
        return found

    def _evidence(self, scenes: Sequence[Scene]) -> list[Floats]:
        """Score the decoded masks against the relations, places and sizes of each query."""
        import numpy as np

        from aeret.retrieval.text.evidence import evidence_distances

        count = len(self.names)
        alone = np.zeros((count, 1, 1, count), np.float32)
        alone[np.arange(count), 0, 0, np.arange(count)] = 1
        # The first channel that a category sets is its own, or its supercategory's.
        channels = self.encoder.encoding.encode(alone)[:, 0, 0, :].argmax(axis=1)
        used = np.unique([channels[thing.category] for scene in scenes for thing in scene.things])
        place = np.zeros(int(channels.max()) + 1, np.int64)
        place[used] = np.arange(len(used))
        batches = [
            [evidence_distances(scene, maps, place[channels]) for scene in scenes]
            for maps in self.decoded.maps(used.tolist())
        ]
        return [np.concatenate(batch) for batch in zip(*batches, strict=True)]

    def _layout_distances(self, scenes: Sequence[Scene]) -> list[Floats]:
        """Compare each query's compiled layouts with the predicted codes or the decoded masks."""
        import numpy as np

        from aeret.retrieval.text.search import code_distances

        masks = [self._masks(scene) for scene in scenes]
        stacked, ends = np.concatenate(masks), np.cumsum([len(each) for each in masks])
        spans = list(zip([0, *ends], ends, strict=False))
        if self.similarity == "layout":
            distances = self._overlap_distances(stacked)
            return [distances[start:stop].min(axis=0) for start, stop in spans]
        codes = np.concatenate([self.encoder.encode_masks(stacked[at : at + 64]) for at in range(0, len(stacked), 64)])
        predicted = np.asarray(self.gallery.matrices["codes"])
        return [code_distances(codes[start:stop], predicted, self.similarity) for start, stop in spans]

    def _masks(self, scene: Scene) -> NDArray[Any]:
        """Return the compiled layout, float32 (v, h, w, c), with its mirror image if sides do not matter."""
        import numpy as np

        masks = self.compiled(scene).coverage(self.encoder.size, len(self.names))
        return np.stack([masks] if scene.says_side else [masks, masks[:, ::-1]])

    def _overlap_distances(self, masks: NDArray[Any]) -> Any:
        import numpy as np

        from aeret.retrieval.mask_overlap import MaskOverlap, planes_of

        queries = planes_of(self.encoder.encoding.encode(masks) >= 0.5)
        overlap = MaskOverlap(queries, self.decoded.planes, np.full(len(queries), -1, np.int64))
        return 1 - overlap.all(np.arange(len(queries))).astype(np.float64)
