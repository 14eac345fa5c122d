"""The commands of the command line; `app.py` finds them."""
