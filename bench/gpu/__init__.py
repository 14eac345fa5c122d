"""What an accelerator shows: correct, fast, lean and worth it. See `bench/gpu/__main__.py`."""
