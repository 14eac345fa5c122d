"""One run: its settings, the models they name, the folder it leaves, the card that says how good the student is."""
