"""A local hub: a web server with the few endpoints that downloads need.

It serves real files from memory, asks for tokens, and breaks off on demand.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import struct
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Repo:
    """A repository; `commit` changes whenever its files do."""

    files: dict[str, bytes]
    token: str | None = None  # readers must send this token
    gated: bool = False
    tags: dict[str, dict[str, bytes]] = field(default_factory=dict)
    # wrong sizes: in the listing, and in the listing and the answers
    listed: dict[str, int] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)

    def revision(self, name: str) -> tuple[str, dict[str, bytes]] | None:
        """Return the commit and the files of a branch, tag or commit."""
        named = {"main": self.files, **self.tags}
        commits = {_commit(files): files for files in named.values()}
        files = named.get(name)
        if files is None:
            files = next(
                (commits[one] for one in commits if one.startswith(name)), None
            )
        return None if files is None else (_commit(files), files)

    @property
    def commit(self) -> str:
        """The latest commit."""
        return _commit(self.files)


def _commit(files: dict[str, bytes]) -> str:
    digest = hashlib.sha1()
    for name, data in sorted(files.items()):
        digest.update(name.encode() + hashlib.sha1(data).digest())
    return digest.hexdigest()


@dataclass
class Request:
    """A client's request."""

    method: str
    path: str
    range: str | None
    token: str | None


class HubServer:
    """A running server.

    Attributes
    ----------
    repos : dict of str to Repo
        Its repositories by name; tests may change them.
    requests : list of Request
        All requests so far.
    cuts : dict of str to list
        By file, for its next downloads, the number of bytes after which to close the
        connection, or (a negative number) to reset it, or None to stall half-way.
    stalled : threading.Event
        Set when a download stalls.
    answer : tuple of int and bytes, or None
        Status and body of every answer, for a server that is not a hub.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        self.cuts: dict[str, list[int | None]] = {}
        self.stalled = threading.Event()
        self._stopped = threading.Event()
        self.answer: tuple[int, bytes] | None = None
        hub = self

        class Handler(_Handler):
            server_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop: connections are refused from now on."""
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def stall(self) -> None:
        """Keep a client waiting until the server stops."""
        self.stalled.set()
        self._stopped.wait(60)

    def transfers(self, file: str) -> list[Request]:
        """Return the requests for the bytes of a file."""
        return [
            one
            for one in self.requests
            if one.method == "GET" and one.path.endswith(f"/{file}")
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_hub: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def end_headers(self) -> None:
        """Close each connection, so that it does not outlive the server."""
        self.send_header("Connection", "close")
        super().end_headers()

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        hub = self.server_hub
        request = Request(
            self.command,
            urllib.parse.unquote(path),
            self.headers.get("Range"),
            token or None,
        )
        hub.requests.append(request)
        if hub.answer is not None:
            self._send(*hub.answer)
            return
        match = _API.fullmatch(path) or _RESOLVE.fullmatch(path)
        repo = hub.repos.get(match[1]) if match else None
        if match is None or repo is None:
            # like the real hub: without a token, private repositories do not exist
            self._refuse(404 if token else 401, "RepoNotFound")
        elif repo.token is not None and token != repo.token:
            code = "GatedRepo" if repo.gated else "RepoNotFound"
            self._refuse(403 if repo.gated and token else 401, code)
        else:
            name = urllib.parse.unquote(match[2] or "main")
            revision = repo.revision(name)
            if revision is None:
                self._refuse(404, "RevisionNotFound")
            elif match.re is _API:
                self._send_listing(repo, *revision)
            elif (file := urllib.parse.unquote(match[3])) not in revision[1]:
                self._refuse(404, "EntryNotFound", commit=revision[0])
            else:
                self._send_file(repo, revision[0], file, revision[1][file], request)

    def _refuse(self, status: int, code: str, commit: str = "") -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_listing(self, repo: Repo, commit: str, files: dict[str, bytes]) -> None:
        sizes = {**repo.announced, **repo.listed}
        siblings = [
            {"rfilename": name, "size": sizes.get(name, len(data))}
            for name, data in files.items()
        ]
        body = json.dumps({"id": "x/y", "sha": commit, "siblings": siblings}).encode()
        self._send(200, body)

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(
        self, repo: Repo, commit: str, file: str, data: bytes, request: Request
    ) -> None:
        begin = 0
        if request.range is not None:
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range)
            assert found
            begin = int(found[1])
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Size", str(repo.announced.get(file, len(data))))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - begin))
        if begin:
            self.send_header(
                "Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}"
            )
        self.end_headers()
        if request.method == "HEAD":
            return
        cuts = self.server_hub.cuts.get(file)
        if not cuts:
            self.wfile.write(data[begin:])
            return
        cut = cuts.pop(0)
        if cut is None:
            self.wfile.write(data[: len(data) // 2])
            self.server_hub.stall()
            return
        self.wfile.write(data[begin : begin + abs(cut)])
        if cut < 0:  # closing with a linger time of 0 resets it
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
