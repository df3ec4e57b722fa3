"""A server that speaks Anthropic's messages protocol, so far as a streamed reply needs it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeAnthropic:
    """Answers every message with `replies`, one after the other: a text, or a dict with `error` and `status`.

    `requests` and `headers` record what arrived. `break_after` closes the connection after so many pieces.
    """

    def __init__(self, replies: list[Any], *, break_after: int | None = None) -> None:
        self.replies = replies
        self.break_after = break_after
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeAnthropic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    fake: FakeAnthropic

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        fake = self.server.fake
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake.requests.append(body)
        fake.headers.append({name.lower(): value for name, value in self.headers.items()})
        reply = fake.replies[min(len(fake.requests), len(fake.replies)) - 1]
        if isinstance(reply, dict):
            self._error(reply)
        else:
            self._stream(reply)

    def _error(self, reply: dict[str, Any]) -> None:
        data = json.dumps(
            {"type": "error", "error": {"type": reply["error"], "message": reply["message"]}}
        ).encode()
        self.send_response(reply["status"])
        self.send_header("Content-Type", "application/json")
        for name, value in reply.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        usage = {"input_tokens": 1000, "output_tokens": 1}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": "m",
            "usage": usage,
        }
        self._event("message_start", message=message)
        self._event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for number in range(0, len(text), 4):
            if self.server.fake.break_after is not None and number // 4 >= self.server.fake.break_after:
                self.connection.shutdown(2)
                return
            self._event(
                "content_block_delta",
                index=0,
                delta={"type": "text_delta", "text": text[number : number + 4]},
            )
        self._event("content_block_stop", index=0)
        self._event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 200})
        self._event("message_stop")

    def _event(self, kind: str, **fields: Any) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())
        self.wfile.flush()
