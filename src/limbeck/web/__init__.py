"""The student in a web page: built into a folder, served on this machine, no network needed once it is built."""

from limbeck.web.build import build
from limbeck.web.serve import serve, server

__all__ = [
    "build",
    "serve",
    "server",
]
