"""The report: plain data first, then JSON, HTML and markdown."""

from flows.report.artifact import render_markdown
from flows.report.defects import score_defects
from flows.report.model import build_report, comparable, dump_report, write_report
from flows.report.page import render_html

__all__ = [
    "build_report",
    "comparable",
    "dump_report",
    "render_html",
    "render_markdown",
    "score_defects",
    "write_report",
]
