"""A bot that is only its socket: it answers what the test says, to one client after the other."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from botkit.control import socket_path


@contextlib.contextmanager
def answering(folder: Path, bot: str, *answers: bytes | None) -> Iterator[None]:
    """Listen as `bot`; answer one client after the other, None by hanging up unheard."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(socket_path(folder, bot)))
    listening.listen()

    def serve() -> None:
        for answer in answers:
            client, _ = listening.accept()
            with client:
                if answer is not None and client.recv(65_536):
                    client.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
        thread.join(5)
        assert not thread.is_alive()
    finally:
        listening.close()
