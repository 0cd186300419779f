"""Bit words, which moved to :mod:`aeret.retrieval.bits`."""

from aeret.retrieval.bits import ones, words_of_bools, words_of_bytes

__all__ = ["ones", "words_of_bools", "words_of_bytes"]
