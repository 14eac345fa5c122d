"""The face: one call each to distil, train, load, evaluate and export; `limbeck` itself hands them out."""
