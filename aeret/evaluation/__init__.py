"""Measure how good a search is: relevance, measures, floors, statistics and comparisons.

Per-query values are the primitive; averaging happens last. Every number carries its convention and stands beside its
floors. :func:`aeret.evaluation.evaluate.evaluate` is the door.
"""
