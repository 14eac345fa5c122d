"""The page's folder, served to this machine only."""

import errno
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from limbeck.errors import UserError
from limbeck.web.build import PAGE, RUNTIME

HERE = "127.0.0.1"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript"}
KINDS |= {".wasm": "application/wasm", ".json": "application/json", ".onnx": "application/octet-stream"}
FILES = {*PAGE, *RUNTIME, "facts.json", "student.onnx", "teacher.onnx"}
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; img-src data:; "
    "worker-src 'self' blob:"
)


def serve(folder: Path, port: int, say: Callable[[str], None] = print) -> None:
    """Serve the folder until control-C."""
    with server(folder, port) as serving:
        say(f"http://{HERE}:{serving.server_port}/ shows {folder}; control-C ends it")
        try:
            serving.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("stopped")


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """The server, listening but not yet serving.

    Raises `UserError` if the port cannot be used.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port must be between 0 and 65535, got {port}")
    try:
        found = ThreadingHTTPServer((HERE, port), type("Files", (_Files,), {"folder": folder}))
    except OSError as error:
        why = "it is in use already" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        raise UserError(f"port {port} cannot be used: {why}; give another one with --port, or 0 for a free one") from None
    found.daemon_threads = True
    return found


class _Files(BaseHTTPRequestHandler):
    """The files of the page by name; nothing else is answered."""

    folder: Path

    def do_GET(self) -> None:  # noqa: N802
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in (HERE, "localhost"):
            self._answer(403, "text/plain", b"only for this machine")
        elif name not in FILES or not (self.folder / name).is_file():
            self._answer(404, "text/plain", b"no such file of the page")
        else:
            self._answer(200, KINDS[Path(name).suffix], (self.folder / name).read_bytes())

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY}
        headers |= {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not worth a line."""
