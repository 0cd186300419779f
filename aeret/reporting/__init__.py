"""Reports: values in, one self-contained HTML file and Markdown, CSV and JSON with the same numbers out.

:func:`aeret.reporting.evaluation_report.build_report` and
:func:`aeret.reporting.comparison_report.build_comparison_report` make a :class:`~aeret.reporting.values.Report`;
:func:`write` writes it. Only this room draws.
"""

from aeret.reporting.values import Report
from aeret.reporting.write import WRITERS, write

__all__ = ["WRITERS", "Report", "write"]
