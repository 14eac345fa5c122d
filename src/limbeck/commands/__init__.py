"""What the command line's commands do and print; `cli.py` only turns words into calls."""
