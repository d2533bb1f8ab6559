"""A real S3 server on loopback, behind a relay that counts what comes back and can be cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCESS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
          "AWS_DEFAULT_REGION": "us-east-1"}  # fmt: skip


@dataclass(eq=False)
class Relay:
    """Passes connections on to a port; counts the bytes of answers."""

    target: int
    answered: int = 0
    alive: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._start(self._welcome)

    def cut(self) -> None:
        """Close the door and every connection, as when a server dies."""
        for one in (self._door, *self.alive):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _start(self, work: Any, *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
                self.alive += [client, server]
                self._start(self._pass_on, client, server, 0)
                self._start(self._pass_on, server, client, 1)

    def _pass_on(self, source: socket.socket, sink: socket.socket, counted: int) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.answered += len(data) * counted
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def serve_s3() -> Iterator[int]:
    """Run moto's server in a process of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, **ACCESS}, **quiet) as server:
        try:
            assert server.stderr is not None
            said = iter(server.stderr.readline, b"")
            assert any(b"Running on" in line for line in said), "the server did not start"
            threading.Thread(target=server.stderr.read, daemon=True).start()
            yield port
        finally:
            server.kill()


def upload(folder: Path, url: str) -> None:
    """Copy a folder's files into a bucket."""
    import s3fs  # noqa: PLC0415 - only where it is installed

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.call_s3("create_bucket", Bucket=url.split("/")[2])
    for path in (path for path in folder.rglob("*") if path.is_file()):
        files.pipe_file(f"{url}/{path.relative_to(folder)}", path.read_bytes())
