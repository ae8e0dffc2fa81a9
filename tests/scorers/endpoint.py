"""A stand-in for an OpenAI-compatible endpoint, with faults on demand, on a local port."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes] | None
"""Status, headers and body instead of an answer; None is the answer itself."""


def fault(status: int, message: str = "injected", **headers: str) -> Reply:
    """A refusal as such endpoints word it."""
    body = json.dumps({"error": {"message": message, "code": None}}).encode()
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, body


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """A chat completion that answers a prompt with its own digest."""
    text = hashlib.sha256(body["messages"][-1]["content"].encode()).hexdigest()[:8]
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
    if body.get("logprobs"):
        top = [{"token": token, "logprob": -rank} for rank, token in enumerate(("1", "0"))]
        choice["logprobs"] = {"content": [{"token": "1", "logprob": -0.25, "top_logprobs": top}]}
    return {"choices": [choice]}


class Endpoint:
    """Serves one model at :attr:`url`. `faults(prompt, attempt)` injects what it likes.

    `asked` counts attempts per prompt, `most` is the largest number of requests in flight at once.
    """

    def __init__(
        self,
        faults: Callable[[str, int], Reply] | None = None,
        *,
        key: str = "",
        model: str = "tiny",
        port: int = 0,
        answer: Callable[[dict[str, Any]], dict[str, Any]] = completion,
    ) -> None:
        self.faults, self.key = faults or (lambda prompt, attempt: None), key
        self.answer = answer
        self.model = model
        self.delay = 0.0
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.flying = self.most = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send(200, {}, json.dumps({"data": [{"id": endpoint.model}]}).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with endpoint._lock:
                    endpoint.flying += 1
                    endpoint.most = max(endpoint.most, endpoint.flying)
                    prompt = body["messages"][-1]["content"]
                    attempt = endpoint.asked[prompt]
                    endpoint.asked[prompt] += 1
                    endpoint.bodies.append(body)
                    endpoint.times.append(time.monotonic())
                try:
                    time.sleep(endpoint.delay)
                    self.send(*endpoint.reply(self, body, attempt))
                finally:
                    with endpoint._lock:
                        endpoint.flying -= 1

            def send(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that stopped waiting is part of the test."""

        self.server = Server(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def reply(self, handler: BaseHTTPRequestHandler, body: dict[str, Any], attempt: int) -> Reply:
        """What one request gets: a refusal, an injected fault, or the answer."""
        if self.key and handler.headers.get("Authorization") != f"Bearer {self.key}":
            return fault(401, "Incorrect API key provided.")
        if body["model"] != self.model or handler.path != "/v1/chat/completions":
            return fault(404, f"The model `{body['model']}` does not exist.")
        injected = self.faults(body["messages"][-1]["content"], attempt)
        return injected or (200, {}, json.dumps(self.answer(body)).encode())

    def __enter__(self) -> Endpoint:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
