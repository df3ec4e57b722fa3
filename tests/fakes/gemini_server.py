"""A server that speaks Gemini's protocol, so far as a streamed reply needs it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeGemini:
    """Streams `pieces` to every request, with counts of 50 and 7 tokens. `requests` has (path, headers, body)."""

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = pieces
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeGemini:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    fake: FakeGemini


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.fake.requests.append((self.path, headers, body))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        *earlier, last = self.server.fake.pieces
        for piece in earlier:
            self._event({"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}, {})
        usage = {"promptTokenCount": 50, "candidatesTokenCount": 7, "totalTokenCount": 57}
        self._event(
            {"content": {"parts": [{"text": last}], "role": "model"}, "finishReason": "STOP", "index": 0},
            usage,
        )

    def _event(self, candidate: dict[str, Any], usage: dict[str, int]) -> None:
        event = {"candidates": [candidate], "usageMetadata": usage}
        self.wfile.write(f"data: {json.dumps(event)}\r\n\r\n".encode())
        self.wfile.flush()
