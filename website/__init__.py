"""The documentation site: `make docs` writes its sources from docs/ and the code, and MkDocs makes it."""
