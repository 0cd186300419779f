"""Plots as SVG text: one file each, one style, the same bytes for the same numbers."""
