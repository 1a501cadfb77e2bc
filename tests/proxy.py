"""A TCP proxy before a server, which can be told to swallow what is sent: the connection stands, and nobody answers."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Forwards to a server, on a port of its own."""

    def __init__(self, host: str, port: int) -> None:
        self.swallows = False
        """What comes from now on, new connections too, is taken and not passed on, in either direction."""
        self._target = (host, port)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        """Take connections, on the same port as before."""
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._pairs.append((client, server))
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with selectors.DefaultSelector() as selector, client, server:
            for end in other:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    try:
                        sent = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                        if not sent:
                            return
                        if not self.swallows:
                            other[key.fileobj].sendall(sent)  # type: ignore[index]
                    except OSError:
                        return

    def cut(self) -> None:
        """Close all connections."""
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Close all connections and refuse others."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # a thread waits in accept
        self._listening.close()
        self.cut()


@contextlib.contextmanager
def proxy_to(host: str, port: int) -> Iterator[Proxy]:
    """Give a proxy to a server, until the end."""
    made = Proxy(host, port)
    try:
        yield made
    finally:
        made.stop()
