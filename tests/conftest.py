"""Its place puts `tests/` on the import path, so that test files may import `toy`."""
