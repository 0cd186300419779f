"""Cluster embeddings by k-means."""
