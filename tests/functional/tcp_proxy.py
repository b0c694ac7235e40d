"""A TCP proxy on loopback that breaks a connection at a chosen word, as a network does that fails at that moment."""

import contextlib
import socket
import threading


class TcpProxy:
    """Forwards to a port until break_at() is told otherwise; break_at() is good for one connection."""

    def __init__(self, port: int, own_port: int = 0) -> None:
        self._server_port = port
        self._word: bytes | None = None
        self._is_word_forwarded = False
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", own_port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_at(self, word: str, is_word_forwarded: bool) -> None:
        """Break the next connection whose client sends word; is_word_forwarded: when the server has answered it."""
        self._is_word_forwarded = is_word_forwarded
        self._word = word.encode()

    def close(self) -> None:
        # A thread that waits in accept() would take one connection more.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def end_connections(self) -> None:
        """Break what is open: with close(), the server is away."""
        _end(*self._connections)
        self._connections = []

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            self._connections += [client, server]
            breaking = threading.Event()
            threading.Thread(target=self._forward_requests, args=(client, server, breaking), daemon=True).start()
            threading.Thread(target=self._forward_answers, args=(client, server, breaking), daemon=True).start()

    def _forward_requests(self, client: socket.socket, server: socket.socket, breaking: threading.Event) -> None:
        while data := _receive(client):
            if self._word is not None and self._word in data:
                self._word = None
                breaking.set()
                if not self._is_word_forwarded:
                    _end(client, server)
                    return
            if not _send(server, data):
                break
        _end(client, server)

    @staticmethod
    def _forward_answers(client: socket.socket, server: socket.socket, breaking: threading.Event) -> None:
        while (data := _receive(server)) and not breaking.is_set():
            if not _send(client, data):
                break
        _end(client, server)


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except OSError:
        return b""


def _send(sock: socket.socket, data: bytes) -> bool:
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


def _end(*socks: socket.socket) -> None:
    for sock in socks:
        # The other side may have been first.
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
