"""Report runs: one self-contained HTML page, and Markdown, CSV and JSON with the same numbers.

A report (:mod:`aeret.reporting.report`) is a list of sections. One function per section builds it, in ``sections/`` and
``experiments/``; one renderer per format writes it; ``plots/`` has one file per figure. Only this room draws.
"""

from aeret.reporting.report import Report
from aeret.reporting.write import WRITERS, write

__all__ = ["WRITERS", "Report", "write"]
