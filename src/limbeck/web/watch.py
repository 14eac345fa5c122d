"""A run's or a comparison's page, or the list of a folder of runs, served on this machine while the folder grows."""

import errno
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from limbeck.comparison.pages import is_comparison, page_of
from limbeck.errors import UserError
from limbeck.web.listing import is_list, list_page, runs_in
from limbeck.web.side import side_page

HERE = "127.0.0.1"
PIECES = ("card.json", "failed.json", "metrics.jsonl", "recipe.toml", "environment.json", "method.svg", "predictions.safetensors")


def watch(folder: Path, port: int = 8765, say: Callable[[str], None] = print) -> None:
    """Serve the page, or the list of a folder of runs, until control-C. Only this machine can reach it; only `folder` is read,
    nothing is written.

    Raises:
        UserError: it is no folder of a run or comparison, or the port cannot be used.
    """
    with server(folder, port) as serving:
        say(f"http://{HERE}:{serving.server_port}/ shows {folder}; control-C ends it")
        try:
            serving.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("stopped")


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """The server, listening but not yet serving."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port must be between 0 and 65535, got {port}")
    _whole_page(folder)("start")  # says now what is wrong with the folder
    try:
        found = ThreadingHTTPServer((HERE, port), type("Page", (_Page,), {"folder": folder}))
    except OSError as error:
        why = (error.strerror or str(error)).lower() if error.errno != errno.EADDRINUSE else "it is in use already"
        raise UserError(f"port {port} cannot be used: {why}; give another one with --port, or 0 for a free one") from None
    found.daemon_threads = True
    return found


def state_of(folder: Path) -> str:
    """A word that changes when a piece of the page does: from names, sizes and times of the files alone."""
    runs = folder / "runs"
    folders = [folder, *(sorted(runs.iterdir()) if is_comparison(folder) and runs.is_dir() else [])]
    seen = hashlib.sha256()
    for path in (folder / "comparison.json", *(f / name for f in folders for name in PIECES)):
        try:
            facts = path.stat()
            seen.update(f"{path.name} {path.parent.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        except OSError:
            continue
    return seen.hexdigest()[:16]


@dataclass(frozen=True)
class Shown:
    """A page: its HTML for a state, and the state of what it shows."""

    html: Callable[[str], str]
    folders: tuple[Path, ...]

    def state(self) -> str:
        if len(self.folders) == 1:
            return state_of(self.folders[0])
        return hashlib.sha256("".join(map(state_of, self.folders)).encode()).hexdigest()[:16]


def _whole_page(folder: Path) -> Callable[[str], str]:
    """The page of a folder: the list of its runs where it is none itself."""
    return partial(list_page, folder) if is_list(folder) else partial(page_of, folder)


def _page_at(folder: Path, path: str) -> Shown | None:
    """The page at an address; None where there is none. Only folders that the list names are ever read."""
    if path == "/":
        whole = tuple(folder / name for name in runs_in(folder)) if is_list(folder) else (folder,)
        return Shown(_whole_page(folder), whole)
    kind, *asked = path.removeprefix("/").split("/")
    names, there = [unquote(word) for word in asked], runs_in(folder) if is_list(folder) else []
    if not all(name in there for name in names) or len(names) != {"run": 1, "side": 2}.get(kind):
        return None
    places = tuple(folder / name for name in names)
    return Shown(partial(page_of, places[0]) if kind == "run" else partial(side_page, places[0], places[1]), places)


class _Page(BaseHTTPRequestHandler):
    """GET / is the page, GET /state says whether there is a newer one; of a folder of runs /run/NAME and /side/NAME/NAME are
    pages, too. Nothing else is answered."""

    folder: Path

    def do_GET(self) -> None:  # noqa: N802
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in (HERE, "localhost"):  # another name for this machine: a page elsewhere that wants to read this one
            self._answer(403, "text/plain", "only for this machine")
        elif (found := _page_at(self.folder, "" if self.path == "/state/" else self.path.removeprefix("/state") or "/")) is None:
            self._answer(404, "text/plain", "the only page is at /")
        elif self.path.startswith("/state"):
            self._answer(200, "application/json", json.dumps({"state": found.state()}))
        else:
            try:
                self._answer(200, "text/html", found.html(found.state()))
            except UserError as error:  # the folder went away or was damaged
                self._answer(503, "text/plain", str(error))

    def _answer(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not worth a line."""
