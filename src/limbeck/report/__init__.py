"""A run or a method, shown: one page, one drawing, one table."""

from limbeck.report.diagram import svg
from limbeck.report.page import write_report
from limbeck.report.table import card_table

__all__ = ["card_table", "svg", "write_report"]
