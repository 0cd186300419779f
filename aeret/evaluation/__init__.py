"""How good a search is: relevance, measures per query, floors, statistics and the comparison of runs.

Per-query values are the primitive; averaging happens last. Every number carries its convention and stands beside its
floors. :func:`aeret.evaluation.evaluate.evaluate` is the door.
"""
