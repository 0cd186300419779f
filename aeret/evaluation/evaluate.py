"""Evaluate a search: clusters, rankings, measures, floors and their statistics, in bounded memory."""

from __future__ import annotations

from aeret.evaluation.result import Evaluation

__all__ = ["Evaluation"]
