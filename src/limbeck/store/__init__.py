"""What frozen roles answered, computed once and kept: key, shelves, forms, planning, filling, what a run will cost."""
