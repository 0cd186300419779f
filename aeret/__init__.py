"""Make a COCO-format photo collection searchable, and prove how well it searches.

Data flows one way through the rooms of this package::

    data -> losses, models -> training -> embeddings -> clustering -> retrieval -> evaluation -> reporting

An autoencoder learns the segmentation masks (``train-ae``); a CNN learns, from the photo alone, to predict the class
labels and the autoencoder's normalised latent code together (``train-cnn``); k-means clusters the embeddings; retrieval
goes nearest cluster first until N results are found; precision, recall and F reports come out (``cluster-eval``).
``stages`` joins the rooms, one verb per file; ``pipeline`` runs stages; ``search`` asks finished runs; ``cli`` is the
door. The names below are the public API; each loads its module on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    # data
    "read_collection": "aeret.data.collection",
    "load_manifest": "aeret.data.manifest",
    "prepare": "aeret.data.prepare",
    "Prepared": "aeret.data.prepared",
    "rasterise": "aeret.data.masks",
    "mask_encoding": "aeret.data.encodings",
    # models and training
    "build_autoencoder": "aeret.models.autoencoder",
    "JointModel": "aeret.models.joint",
    "SavedEncoder": "aeret.models.saved",
    "SavedJoint": "aeret.models.saved_joint",
    "fit": "aeret.training.fit",
    # embeddings, clusters, search
    "EmbeddingSet": "aeret.embeddings.store",
    "write_parts": "aeret.embeddings.encode",
    "fit_kmeans": "aeret.clustering.kmeans",
    "Clustering": "aeret.clustering.kmeans",
    "ClusterFirst": "aeret.retrieval.cluster_first",
    "Ranking": "aeret.retrieval.ranking",
    "open_index": "aeret.retrieval.indexes",
    # evaluation
    "PhotoSet": "aeret.evaluation.task",
    "EvaluationOptions": "aeret.evaluation.task",
    "evaluate": "aeret.evaluation.evaluate",
    "Evaluation": "aeret.evaluation.result",
    "measure": "aeret.evaluation.metrics",
    "compare": "aeret.evaluation.compare",
    # pipelines and runs
    "Settings": "aeret.settings",
    "read_pipeline": "aeret.pipeline.pipelines",
    "run_pipeline": "aeret.pipeline.run",
    "find_run": "aeret.pipeline.history",
    "artifacts_of": "aeret.pipeline.history",
    "TextSearcher": "aeret.search.text",
    "similar_photos": "aeret.search.similar",
}

__all__ = sorted(["__version__", *_PUBLIC])


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'aeret' has no attribute {name!r}; its public names are in aeret.__all__")
    # A module of the same name, such as aeret.evaluation.evaluate, must not take the place of the function.
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return list(__all__)
