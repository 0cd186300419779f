"""Provide layers that Keras lacks or computes too slowly."""
