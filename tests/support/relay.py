"""A relay in front of a server, which stalls, and can be cut like a cable."""

from __future__ import annotations

import math
import socket
import threading
from urllib.parse import urlsplit


class Relay:
    """Passes bytes on to a server.

    Parameters
    ----------
    url : str
        The server's address.

    Attributes
    ----------
    url : str
        The relay's own address.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._server = (address.hostname, address.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._is_cut = False
        self._left = math.inf
        self._n_stalled = 0
        self._may_pass = threading.Condition()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def stall_after(self, n_bytes: int) -> None:
        """Pass on this many bytes of the server's, and hold back the others."""
        self._left = n_bytes

    @property
    def is_stalled(self) -> bool:
        """Whether bytes are held back."""
        return self._n_stalled > 0

    def let_others_pass(self) -> None:
        """Hold back nothing but the bytes of connections that are stalled already."""
        self._left = math.inf  # they are not notified

    def flow(self) -> None:
        """Hold back nothing."""
        with self._may_pass:
            self._left = math.inf
            self._may_pass.notify_all()

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._is_cut = True
        for one in list(self._sockets):
            self._end(one)

    def mend(self) -> None:
        """Pass bytes on again."""
        self._is_cut = False
        self.flow()

    def close(self) -> None:
        """End everything."""
        self.cut()
        self.flow()
        self._end(self._listener)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            server = socket.create_connection(self._server)
            self._sockets |= {client, server}
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(256):
                if source.getpeername() == self._server:
                    self._wait(len(data))
                target.sendall(data)
        except OSError:
            pass
        self._end(source)
        self._end(target)

    def _wait(self, n_bytes: int) -> None:
        with self._may_pass:
            if self._left < n_bytes:
                self._n_stalled += 1
                self._may_pass.wait_for(lambda: self._left >= n_bytes)
                self._n_stalled -= 1
            self._left -= n_bytes

    def _end(self, one: socket.socket) -> None:
        self._sockets.discard(one)
        try:
            one.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
        except OSError:
            pass
        one.close()
