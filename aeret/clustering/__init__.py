"""Clusters of embeddings: k-means behind one interface, with its quality report."""
