"""Servers that cut off a download, or answer with something else."""

import gzip
import hashlib
import os
import random
import shutil
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from tests.faults.fault import Fault
from tests.faults.study import Kind, LostError, Study, one_run

_SILENT_SECONDS = 2  # in the place of a minute
_PAGE = b"<html>Come back later.</html>"


def _archives() -> dict[str, bytes]:
    """Tiny archives in FashionMNIST's format, by name."""
    draw, archives = np.random.default_rng(0), {}
    for split, count in (("train", 300), ("t10k", 200)):
        pixels = draw.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, header, values in (
            ("images-idx3", struct.pack(">IIII", 2051, count, 28, 28), pixels),
            ("labels-idx1", struct.pack(">II", 2049, count), labels),
        ):
            content = gzip.compress(header + values.tobytes(), mtime=0)
            archives[f"{split}-{kind}-ubyte.gz"] = content
    return archives


class _Handler(BaseHTTPRequestHandler):
    """Answers as the server that it belongs to is told to."""

    def do_GET(self):
        server, name = self.server, self.path.rpartition("/")[2]
        if name == "elsewhere":
            self._answer(200, _PAGE)
        elif name != server.victim:
            self._answer(200, server.archives[name])
        else:
            getattr(self, server.how)(server.archives[name])

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        """Say nothing."""

    def cut_off(self, content):
        """Announce all, send a part."""
        self._answer(200, content[: int(self.server.part * len(content))], len(content))

    def reset(self, content):
        """The same, and break the connection with what was sent still under way."""
        self.cut_off(content)
        at_once = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.connection.close()

    def garbage(self, content):
        self._answer(200, bytes(len(content)))

    def page(self, content):
        self._answer(200, _PAGE)

    def error(self, content):
        self._answer(500, _PAGE)

    def redirect(self, content):
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def stall(self, content):
        """Send a part and keep the connection."""
        self.cut_off(content)
        self.server.stalled.set()
        time.sleep(3 * _SILENT_SECONDS)

    def _answer(self, status: int, content: bytes, length: int | None = None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    """Serves the archives; what `victim` names is answered in the way that `how` names."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archives, self.victim, self.how, self.part = _archives(), "", "", 0.0
        self.stalled = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


@cache
def _server() -> _Server:
    """One for all studies: its address is part of the copy of the repository they run from."""
    return _Server()


def _edit(source: Path) -> None:
    """Let the workflow download from the server, and lose patience with it sooner."""
    server = _server()
    resources = [
        (name, hashlib.md5(content).hexdigest()) for name, content in server.archives.items()
    ]
    lines = (
        "from torchvision.datasets import FashionMNIST",
        f'FashionMNIST.mirrors = ["http://127.0.0.1:{server.server_port}/"]',
        f"FashionMNIST.resources = {resources!r}",
        f"_SILENT_SECONDS = {_SILENT_SECONDS}",
    )
    with (source / "workflow/flatness/experiment/datasets/from_torchvision.py").open("a") as file:
        file.write("\n".join(["", *lines, ""]))


def _downloaded(config: dict) -> None:
    one_run(config)
    config["download"] = True
    config["datasets"] = {
        "fashion": {
            "source": "torchvision",
            "dataset": "FashionMNIST",
            "outputs": 10,
            "samples": 20,
        }
    }
    config["studies"]["mlp"]["dataset"] = "fashion"


DOWNLOADED = Kind(
    "a dataset is downloaded",
    _downloaded,
    edit=_edit,
    targets=("results/small/datasets/fashion.nc",),
    in_one_study=1000,  # one after the other: they share the server
    dataset="fashion",
    variables=(("no_proxy", "127.0.0.1"), ("NO_PROXY", "127.0.0.1")),
)


def _misbehaving(how: str, study: Study, draw: random.Random) -> Iterator[str]:
    """One of the archives does not arrive; what lies in the data folder is whole."""
    server, data = _server(), study.folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    target = study.forget("prepare_dataset")
    server.victim, server.how = draw.choice(list(server.archives)), how
    server.part = draw.random()
    try:
        study.refused(f"{server.victim}: could not be downloaded.*Try again later", target)
    finally:
        victim, server.victim = server.victim, ""
    _check(data)
    yield victim
    study.recover(target)
    _check(data)


def _killed(study: Study, draw: random.Random) -> Iterator[str]:
    """The job is killed while it waits for the rest of an archive."""
    server, data = _server(), study.folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    server.victim, server.how = draw.choice(list(server.archives)), "stall"
    server.part, server.stalled = draw.random(), threading.Event()
    process = study.start_again("prepare_dataset")
    try:
        server.stalled.wait(300)
        os.kill(study.job_of(process, "prepare_dataset"), signal.SIGKILL)
        process.wait()
    finally:
        victim, server.victim = server.victim, ""
    _check(data)
    yield victim
    study.recover(study.product("prepare_dataset"))
    _check(data)


def _check(data: Path) -> None:
    """Every archive below the data folder is whole."""
    for path in data.rglob("*.gz"):
        # As docs/running.md says.
        hidden = any(part.startswith(".download-") for part in path.parts)
        if not hidden and path.read_bytes() != _server().archives[path.name]:
            raise LostError(f"{path} differs from what was served")


FAULTS = [
    Fault("downloads", f"the server {words}", partial(_misbehaving, how), 2, DOWNLOADED)
    for words, how in (
        ("cuts an archive off", "cut_off"),
        ("resets the connection", "reset"),
        ("sends as many other bytes", "garbage"),
        ("sends a page", "page"),
        ("answers with status 500", "error"),
        ("redirects elsewhere", "redirect"),
        ("falls silent", "stall"),
    )
] + [Fault("downloads", "SIGKILL of a job that downloads", _killed, 2, DOWNLOADED)]
