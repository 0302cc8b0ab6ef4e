"""What a VirtualIP fronts in the lab: a web server on a node that can be made to fail."""

from __future__ import annotations

import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from vrrp_lab.namespaces import LabError
from vrrp_lab.processes import Processes
from vrrp_lab.stage import StageNode

PORT = 8080


class WebServer:
    """A web server on one node."""

    def __init__(self, node: StageNode, processes: Processes) -> None:
        self._node = node
        self._processes = processes
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve from now on.

        Raises:
            LabError: the port is taken, or whatever else keeps the server from it.
        """
        command = [sys.executable, "-m", "vrrp_lab.web"]
        self._process = self._node.host.namespace.start(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"serving\n":
            raise LabError(f"{self._node.name}: the web server does not start")

    def stop(self) -> None:
        """Serve no more."""
        if self._process is not None:
            self._processes.stop(self._process)
            self._process = None


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not news."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("", PORT), _Handler) as server:
        print("serving", flush=True)
        server.serve_forever()
