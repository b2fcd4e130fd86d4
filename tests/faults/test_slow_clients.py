"""Connections that send a byte now and then keep nobody else waiting."""

import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.operations.site import Site

pytestmark = [pytest.mark.fault, pytest.mark.thorough, pytest.mark.sqlite_only]

SLOW = 60
HEADERS = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
BODY = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nemail="


def test_sixty_slow_connections_keep_nobody_else_waiting(loaded: Site, tmp_path: Path) -> None:
    site = loaded.copy(tmp_path)
    site.start()
    ended = threading.Event()
    try:
        with ExitStack() as open_ones:
            slow = [open_ones.enter_context(socket.create_connection(("127.0.0.1", site.port))) for _ in range(SLOW)]
            for place, connection in enumerate(slow):
                connection.sendall(BODY if place % 2 else HEADERS)

            def drip() -> None:
                while not ended.wait(0.2):
                    for connection in slow:
                        connection.sendall(b"a")

            dripping = threading.Thread(target=drip)
            dripping.start()
            time.sleep(0.5)
            waits = []
            for _ in range(10):
                began = time.monotonic()
                assert httpx.get(f"{site.url}/login", timeout=10).status_code == 200
                waits.append(time.monotonic() - began)
            ended.set()
            dripping.join()
        assert max(waits) < 5, waits  # without room they would wait for as long as the slow ones like
        site.run("verify")
    finally:
        ended.set()
        site.stop_if_running()
