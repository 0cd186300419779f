"""Layers that Keras lacks, or has in a form that is too slow."""
