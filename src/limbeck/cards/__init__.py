"""The card of a run: what was measured, as data, as a table and as MODEL_CARD.md."""
