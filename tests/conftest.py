"""Its place puts `tests/` on the import path, so that test files may import `toy`."""

LONGEST = ("test_docs.py", "test_shipping.py", "test_disks_and_kills.py", "test_shrink.py", "test_comparison.py")


def pytest_collection_modifyitems(items):
    """The longest files first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
