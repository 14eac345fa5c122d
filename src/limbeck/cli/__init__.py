"""What the command line's commands do and print; `app.py` only turns words into calls."""
