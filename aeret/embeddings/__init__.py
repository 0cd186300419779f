"""Embeddings of photos: where they are kept, how they are normalised, and how long encodings are resumed."""
