"""A run or a method, shown: one page, one drawing, one table."""

from limbeck.cards.table import card_table
from limbeck.catalogue.diagram import svg
from limbeck.report.page import write_report

__all__ = [
    "card_table",
    "svg",
    "write_report",
]
