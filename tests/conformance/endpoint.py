"""A `formwork` endpoint of one run: on the loopback, with free ports and a temporary folder that goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

USER = "rocketskates"
PASSWORD = "r0cketsk8ts"

#: Seconds that an endpoint may take until its API answers; a debug build on a busy machine needs some.
START_SECONDS = 60
#: Seconds that an endpoint may take to end.
STOP_SECONDS = 20


def unverified() -> ssl.SSLContext:
    """Returns what the clients use: the certificate is the endpoint's own, so nobody checks it (drp-api.md 1.1)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class OutOfTime(BaseException):
    """A run took too long; no ordinary `except` takes this for the fault of one call."""


def limit(seconds: int) -> None:
    """Ends this program after so many seconds: an endpoint that answers nothing must not hold it up call by call."""

    def end(_signal: int, _frame: object) -> None:
        raise OutOfTime(f"the run took longer than {seconds} s")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)


class Endpoint:
    """A running endpoint; leaving the `with` block ends it and removes its folder."""

    def __init__(self, program: Path, name: str = "formwork") -> None:
        """Prepares the start of `program` under `name`: as `dr-provision` its arguments are those of the server."""
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        self._program = self.folder / name
        self._program.symlink_to(program.resolve())
        self.api_port, self.file_port, self.tftp_port = _free_ports()
        self.url = f"https://127.0.0.1:{self.api_port}"
        self.base = f"{self.url}/api/v3"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Endpoint:
        ports = {"api": self.api_port, "static": self.file_port, "tftp": self.tftp_port}
        command = [str(self._program)]
        if self._program.name != "dr-provision":
            command.append("serve")
        command += ["--base-root", str(self.folder / "data"), "--listen", "127.0.0.1", "--static-ip", "127.0.0.1"]
        command += ["--disable-dhcp", "--allow-unsigned"] + [word for kind, port in ports.items() for word in (f"--{kind}-port", str(port))]
        # What a shell of the person who runs this has set for other endpoints is not for this one.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RS_", "FORMWORK_"))}
        environment |= {"FORMWORK_FIRST_USER": f"{USER}:{PASSWORD}", "NO_COLOR": "1"}
        with self._log().open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def log(self, lines: int = 30) -> str:
        """Returns the last lines that the endpoint wrote."""
        return "\n".join(self._log().read_text(errors="replace").splitlines()[-lines:])

    def alive(self) -> bool:
        """Returns whether the program still runs: a request must never end it."""
        return self._process is not None and self._process.poll() is None

    def _log(self) -> Path:
        return self.folder / "endpoint.log"

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive():
                raise RuntimeError(f"the endpoint ended before it answered:\n{self.log()}")
            try:
                urllib.request.urlopen(f"{self.base}/info", timeout=5, context=unverified())
            except urllib.error.HTTPError:
                return  # Without credentials it refuses; that is an answer.
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"the endpoint did not answer within {START_SECONDS} s:\n{self.log()}")

    def _stop(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_ports() -> list[int]:
    """Returns three ports of the loopback that are free now; all are held until all are known."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM)
    sockets = [socket.socket(socket.AF_INET, kind) for kind in kinds]
    try:
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()
