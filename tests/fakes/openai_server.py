"""A server that speaks the OpenAI protocol over real HTTP, and says what the test wants it to say.

In a test (`with` or `async with`, it lives in threads of its own):

    with FakeOpenAI(["Hello", Reply(value={"a": 1}), Reply(status=429)]) as fake:
        ... PARLANCE_API_BASE=fake.base_url ...
        assert fake.requests[0]["messages"][-1]["content"] == "Hi"

A reply is a Reply, a text, a dict (sent as JSON), or a function that gets the request's body and
returns one. A list of replies is used up in order, a single one answers always, nothing at all means:
a value that fits the schema asked for, else a line about the last message. `Reply(pause=True)` stops
after the first piece until `fake.release()`; `fake.paused` is an Event. From a shell:

    python -m tests.fakes.openai_server --script FILE --port N

where FILE is a JSON or YAML list of replies; one with `when: words` answers whenever the last message
has them.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.openai_rules import fault
from tests.fakes.replies import Reply, as_reply, last_message, written

__all__ = ["FakeOpenAI", "Reply"]


Answer = Reply | str | dict[str, Any] | list[Any]
Script = Answer | Callable[[dict[str, Any]], Answer] | list[Any] | None


class FakeOpenAI:
    """The server. `requests` and `headers` record what arrived, in order; `base_url` ends in /v1.

    With `ollama_models` it is an Ollama too, the first being the newest; those of `ollama_tools` can call
    functions. `hung_up` counts the clients that went away before they had the whole reply.
    """

    def __init__(self, script: Script = None, *, port: int = 0, models: tuple[str, ...] = ("fake",)) -> None:
        self.script = script
        self.models = models
        self.ollama_models: tuple[str, ...] = ()
        self.ollama_tools: tuple[str, ...] = ()
        self.api_key: str | None = None
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.hung_up = 0
        self.paused = threading.Event()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def start(self) -> FakeOpenAI:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def release(self) -> None:
        """Let the reply that is paused go on; the next one that pauses waits again."""
        self.paused.clear()
        self._released.set()

    def prompts(self) -> list[str]:
        """All messages' contents of each request, joined: what the model was shown."""
        return [
            "\n".join(str(m.get("content") or "") for m in body.get("messages", ())) for body in self.requests
        ]

    def __enter__(self) -> FakeOpenAI:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> FakeOpenAI:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    def answer(self, body: dict[str, Any], path: str, headers: Mapping[str, str]) -> Reply:
        """Record the request and say what to reply."""
        with self._lock:
            self.requests.append(body)
            self.paths.append(path)
            self.headers.append({name.lower(): value for name, value in headers.items()})
            if self.api_key is not None and headers.get("Authorization") != f"Bearer {self.api_key}":
                return Reply(status=401, message="Incorrect API key provided.", code="invalid_api_key")
            found = self._next(body)
        return as_reply(found(body) if callable(found) else found, body)

    def _next(self, body: Mapping[str, Any]) -> Any:
        if not isinstance(self.script, list):
            return self.script
        for index, entry in enumerate(self.script):
            wanted = entry.when if isinstance(entry, Reply) else None
            if wanted is None or wanted in last_message(body):
                return self.script[index] if wanted is not None else self.script.pop(index)
        return Reply(status=400, message="The fake's script has no more replies.", code="script_exhausted")

    def wait_released(self) -> None:
        self._released.clear()
        self.paused.set()
        self._released.wait(60)


def as_refusal(found: dict[str, Any] | None) -> Reply | None:
    return Reply(status=400, **found) if found else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    fake: FakeOpenAI

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is counted, and nothing to print."""
        self.fake.hung_up += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        fake, path = self.server.fake, urlsplit(self.path).path
        if path == "/v1/models":
            return self._json(
                {"object": "list", "data": [{"id": name, "object": "model"} for name in fake.models]}
            )
        if path == "/api/tags" and fake.ollama_models:
            found = [
                {"name": name, "model": name, "modified_at": f"2026-01-{28 - i:02}T10:00:00Z", "size": 1}
                for i, name in enumerate(fake.ollama_models)
            ]
            return self._json({"models": found})
        if path == "/requests":
            return self._json(fake.requests)
        return self._error(Reply(status=404, message=f"no such path {path}"))

    def do_POST(self) -> None:
        fake = self.server.fake
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path == "/release":
            fake.release()
            return self._json({"released": True})
        if path == "/api/show" and fake.ollama_models:
            able = json.loads(raw)["model"] in fake.ollama_tools
            return self._json({"capabilities": ["completion", "tools"] if able else ["completion"]})
        if not path.endswith("/chat/completions"):
            return self._error(Reply(status=404, message=f"no such path {path}"))
        body = json.loads(raw)
        reply = fake.answer(body, path, self.headers)
        refused = as_refusal(fault(body)) if reply.status == 200 else None
        time.sleep(reply.delay)
        if refused or reply.status != 200:
            return self._error(refused or reply)
        return self._stream(body, reply) if body.get("stream") else self._whole(body, reply)

    def _json(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._send(json.dumps(value).encode(), status, "application/json", headers or {})

    def _send(self, data: bytes, status: int, kind: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _error(self, reply: Reply) -> None:
        if reply.body is not None:
            return self._send(reply.body.encode(), reply.status, "text/html", reply.headers)
        error = {"message": reply.message, "type": "error", "param": reply.param, "code": reply.code}
        return self._json({"error": error}, reply.status, reply.headers)

    def _whole(self, body: Mapping[str, Any], reply: Reply) -> None:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": reply.content() or None,
            "refusal": reply.refusal,
        }
        if reply.tool_calls:
            message["tool_calls"] = [
                {
                    "id": f"call_{i}",
                    "type": "function",
                    "function": {"name": n, "arguments": written(a)},
                }
                for i, (n, a) in enumerate(reply.tool_calls)
            ]
        if reply.break_after is not None:
            return self._break_off()
        if reply.pause:
            self.server.fake.wait_released()
        answer = _envelope(body, "chat.completion", {"message": message, "finish_reason": _finish(reply)})
        return self._json({**answer, "usage": _usage(body, reply)} if reply.usage else answer)

    def _stream(self, body: Mapping[str, Any], reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(_deltas(reply)):
            if reply.break_after is not None and number > reply.break_after:
                return self._break_off()
            self._event(_envelope(body, "chat.completion.chunk", {"delta": event, "finish_reason": None}))
            if number == 1 and reply.pause:
                self.server.fake.wait_released()
            time.sleep(reply.piece_delay if number else 0)
        if reply.break_after is not None:
            return self._break_off()
        self._event(_envelope(body, "chat.completion.chunk", {"delta": {}, "finish_reason": _finish(reply)}))
        if reply.usage and (body.get("stream_options") or {}).get("include_usage"):
            self._event({**_envelope(body, "chat.completion.chunk", None), "usage": _usage(body, reply)})
        self._chunk(b"data: [DONE]\n\n")
        return self._chunk(b"")

    def _event(self, value: Any) -> None:
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)


def _deltas(reply: Reply) -> Iterator[dict[str, Any]]:
    """The first delta has the role alone, as the vendor's does; then the text, each call in two parts."""
    yield {"role": "assistant", "content": ""}
    if reply.refusal:
        yield {"refusal": reply.refusal}
    for part in reply.parts():
        yield {"content": part}
    for index, (name, arguments) in enumerate(reply.tool_calls):
        text = written(arguments)
        half = len(text) // 2
        first = {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": name, "arguments": text[:half]},
        }
        yield {"tool_calls": [{"index": index, **first}]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": text[half:]}}]}


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _usage(body: Mapping[str, Any], reply: Reply) -> dict[str, int]:
    prompt, completion = reply.counts(body)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _envelope(body: Mapping[str, Any], kind: str, choice: Mapping[str, Any] | None) -> dict[str, Any]:
    choices = [] if choice is None else [{"index": 0, **choice}]
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": body.get("model"), "choices": choices}


def read_script(path: Path) -> Script:
    """Replies from a JSON or YAML file: a list of texts, values under `value`, or Reply's fields."""
    import yaml

    known = {f.name for f in fields(Reply)}
    entries = yaml.safe_load(path.read_text())
    script: list[Any] = []
    for entry in entries:
        if not isinstance(entry, Mapping):
            script.append(str(entry))
            continue
        unknown = set(entry) - known
        if unknown:
            raise SystemExit(
                f"{path}: a reply has no {', '.join(sorted(unknown))}; it may have {', '.join(sorted(known))}"
            )
        calls = tuple((c["name"], c.get("arguments", {})) for c in entry.get("tool_calls", ()))
        reply = Reply(**{k: tuple(v) if k in ("pieces", "usage") and v else v for k, v in entry.items()})
        script.append(replace(reply, tool_calls=calls))
    return script


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted server that speaks the OpenAI protocol.")
    parser.add_argument(
        "--script", type=Path, help="JSON or YAML list of replies; left out, it answers by itself"
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ollama", action="append", default=[], help="also be an Ollama that has this model")
    options = parser.parse_args()
    fake = FakeOpenAI(read_script(options.script) if options.script else None, port=options.port)
    fake.ollama_models = tuple(options.ollama)
    with fake:
        print(f"listening on {fake.base_url}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
