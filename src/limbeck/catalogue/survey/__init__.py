"""Survey A (Alkhulaifi, Alsahli & Ahmad 2021, PeerJ CS 7:e474) regenerated: its 27 systems from the catalogue, with what the
papers report and what was measured here."""

from limbeck.catalogue.survey.show import as_json, show
from limbeck.catalogue.survey.systems import EXAMPLE, SYSTEMS, System, score_of_paper

__all__ = ["EXAMPLE", "SYSTEMS", "System", "as_json", "score_of_paper", "show"]
