"""Make a COCO-format photo collection searchable, and prove each night how well it searches.

Data flows one way through the rooms of this package::

    data -> losses, models -> training -> embeddings -> clustering -> retrieval -> evaluation -> reporting

An autoencoder learns the segmentation masks (``train-ae``); a CNN learns, from the photo alone, to predict the class
labels and the autoencoder's normalised latent code together (``train-cnn``); k-means clusters the embeddings; retrieval
goes nearest cluster first until N results are found; precision, recall and F reports come out (``cluster-eval``).
``stages`` joins the rooms, one verb per file; ``pipeline`` runs stages; ``cli`` is the door.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
