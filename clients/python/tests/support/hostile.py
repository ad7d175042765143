"""A server that says hostile text wherever text can stand. It answers every request at once."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
FORGED = ("12:34  ada: I owe you", "Take it?", "Received", "Rejected")
"""What no line of a stranger's may begin with."""
NASTY = (
    "Take it? \x1b[2J\x1b]0;pwned\x07\r\n12:34  ada: I owe you 1000 euros\u2028Take it? [Y/n]: y"
    "\x08\u202eyxtad\u2066\x9b31m\ud800\u200b\x85Received /etc/passwd\x0bRejected. \u05e9\u05dc"
)
ID = "01936f0c-2b7e-7d33-8d7a-0c8e3a7c1f10"
STORED = b"stored"
_EMPTY_ROOT = hashlib.sha256(b"").hexdigest()
_SUMS = {
    "ended": 1, "completed": 1, "files": 1, "bytes": 1, "success_rate": 1.0,
    "mean_bytes_per_second": 1, "best_bytes_per_second": 1,
}  # fmt: skip


def _user() -> Json:
    return {"id": ID, "username": NASTY, "display_name": f"{NASTY}: x", "email": NASTY}


def _message() -> Json:
    return {
        "id": ID, "channel_id": ID, "author": _user(), "text": NASTY, "seq": 1,
        "created_at": "2026-11-30T12:34:56Z",
    }  # fmt: skip


def _transfer(state: str) -> Json:
    # A file for each place where a name is shown: harmless, dangerous, and in folders.
    names = [f"{NASTY}/{NASTY}", f".{NASTY}", f"{NASTY}.exe", "plain.txt"]
    return {
        "id": ID, "sender_id": ID, "state": state, "note": NASTY, "chunk_size_bytes": 1024,
        "size_bytes": 0, "token": "t", "window_bytes": 1024, "created_at": NASTY,
        "recipients": [{"user_id": ID, "state": state}],
        "files": [
            {"index": index, "name": name, "path": name, "size_bytes": 0, "root": _EMPTY_ROOT}
            for index, name in enumerate(names)
        ],
    }  # fmt: skip


def _items(*items: Json) -> Json:
    return {"items": list(items), "next": None}


def _answers() -> list[tuple[str, str, Json]]:
    """Return what is answered to which methods and paths; the first that fits."""
    device = {"id": ID, "client_id": NASTY, "name": NASTY, "platform": NASTY, "online": True}
    channel = {"id": ID, "kind": NASTY, "name": NASTY, "topic": NASTY, "member_count": 2}
    direct = {**channel, "id": f"{ID[:-1]}1", "kind": "direct", "participants": [_user()]}
    choice = {"device_id": ID, "policy": "ask", "updated_at": NASTY}
    blocked = {"user_id": ID, "blocked_at": NASTY}
    ban = {"user": _user(), "banned_by": _user(), "banned_at": NASTY}
    both = {"sent": _SUMS, "received": _SUMS}
    capability = {"role": "recipient", "expires_at": "x"}
    nameless = {**_message(), "author": {"id": ID, "username": NASTY}}
    stored = {"id": ID, "name": NASTY, "size_bytes": len(STORED)}
    return [
        ("POST", "/token", {"access_token": "a", "refresh_token": "r", "expires_in": 900}),
        ("POST", "/v1/auth/register", _user()),
        ("GET", "/v1/users", _items(_user())),
        ("GET", f"/v1/users/{ID}/devices", _items(device)),
        ("GET|PATCH", "/v1/users/me", {**_user(), "who_may_add": "known"}),
        ("GET", "/v1/users/[^/]+", _user()),
        ("POST", "/v1/devices", device),
        ("GET", "/v1/devices", _items(device)),
        ("GET", "/v1/memberships", _items({"channel": channel}, {"channel": direct})),
        ("POST", f"/v1/channels/{ID}/messages", _message()),
        ("GET", f"/v1/channels/{ID}/messages", _items(_message(), nameless)),
        ("GET", "/v1/transfers/stats", {
            **both, "days": [{"day": NASTY, **both}], "peers": [{"user_id": ID, **both}]
        }),
        ("GET", "/v1/transfers/policies", _items(choice)),
        ("GET|PUT", f"/v1/transfers/policies/{ID}", choice),
        ("GET", f"/v1/channels/{ID}/bans", _items(ban)),
        ("PUT|DELETE", f"/v1/channels/{ID}/bans/{ID}", ban),
        ("POST", "/v1/channels/[^/]+/leave", {}),
        ("GET", "/v1/blocks", _items(blocked)),
        ("PUT|DELETE", f"/v1/blocks/{ID}", blocked),
        ("POST", "/v1/transfers", _transfer("completed")),
        ("GET", "/v1/transfers", _items(_transfer("offered"))),
        ("GET", f"/v1/transfers/{ID}", _transfer("offered")),
        ("POST", f"/v1/transfers/{ID}/(accept|resume)", _transfer("completed")),
        ("POST", f"/v1/transfers/{ID}/token", {**_transfer("accepted"), **capability}),
        ("POST", f"/v1/transfers/{ID}/(reject|cancel)", _transfer(NASTY)),
        ("HEAD", f"/v1/transfers/{ID}/files/./content", {}),
        ("GET", f"/v1/files/{ID}", {**stored, "sha256": hashlib.sha256(STORED).hexdigest()}),
        ("GET", f"/v1/files/{ID}/content", {}),
    ]  # fmt: skip


def _answer(method: str, path: str) -> Json | None:
    """Return what is answered; None for a refusal."""
    fits = (
        answer
        for methods, pattern, answer in _answers()
        if re.fullmatch(methods, method) and re.fullmatch(pattern, path)
    )
    return next(fits, None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        found = _answer(self.command, path)
        problem = {"code": NASTY, "title": NASTY, "detail": NASTY, "errors": [
            {"field": NASTY, "message": NASTY}
        ]}  # fmt: skip
        body = json.dumps(problem if found is None else found).encode()
        if path.startswith("/v1/files/") and path.endswith("/content"):
            body = STORED
        self.send_response(409 if found is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{_EMPTY_ROOT}"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 - of http.server

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def hostile_server() -> Iterator[str]:
    """Run it; yield where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
