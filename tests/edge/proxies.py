"""Real proxies in front of a server: nginx and HAProxy, in processes of their own."""

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from sharezync_embedded.processes import free_port
from sharezync_testkit.programs import HAPROXY, NGINX, Program

DEPLOY: Final = Path(__file__).parents[2] / "deploy" / "proxies"
_STOP_SECONDS = 10

_NGINX_AROUND = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {inside}
}}
"""

# As many write it who only want connections to be kept.
_NGINX_KEPT = """
upstream gateway { server 127.0.0.1:8000; keepalive 4; }
server {
    listen 8080;
    location / {
        proxy_pass http://gateway;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }
}
"""

# As many write it for WebSockets: what a client offers is passed on with every request.
_NGINX_UPGRADES = """
map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
upstream gateway { server 127.0.0.1:8000; keepalive 4; }
server {
    listen 8080;
    location / {
        proxy_pass http://gateway;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}
"""

_HAPROXY_KEPT = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clients
    bind :8080
    default_backend gateway
backend gateway
    http-reuse always
    server one 127.0.0.1:8000
"""

CONFIGURATIONS: Final[Mapping[str, tuple[Program, str]]] = {
    "nginx-deploy": (NGINX, (DEPLOY / "nginx.conf").read_text()),
    "nginx-kept": (NGINX, _NGINX_KEPT),
    "nginx-upgrades": (NGINX, _NGINX_UPGRADES),
    "haproxy-deploy": (HAPROXY, (DEPLOY / "haproxy.cfg").read_text()),
    "haproxy-kept": (HAPROXY, _HAPROXY_KEPT),
    # Compose's, which finds its gateways by name.
    "haproxy-compose": (
        HAPROXY,
        (DEPLOY / "haproxy.compose.cfg").read_text().replace("gateway:8000", "127.0.0.1:8000"),
    ),
}
"""Those that we recommend, and those that people have."""


class Proxy:
    """One of the `CONFIGURATIONS` in front of the server at `upstream_port`, in a block.

    `known` are networks of a proxy before this one, for the configuration that asks for them.
    """

    def __init__(
        self,
        name: str,
        program: Path,
        folder: Path,
        upstream_port: int,
        *,
        known: str = "192.0.2.1/32",
    ) -> None:
        self._environment = {**os.environ, "TRUSTED_PROXIES": known}
        self.port = free_port(besides=[upstream_port])
        kind, text = CONFIGURATIONS[name]
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{upstream_port}")
        self._log = folder / "output.log"
        configuration = folder / "configuration"
        if kind is NGINX:
            text = text.replace("listen 8080;", f"listen 127.0.0.1:{self.port};")
            # Where root starts it, its workers would else be somebody who can't enter the folder.
            user = "user root root;" if os.geteuid() == 0 else ""
            text = _NGINX_AROUND.format(user=user, folder=folder, inside=text)
            log = folder / "error.log"
            self._command: list[str | Path] = [
                program,
                "-p",
                folder,
                "-e",
                log,
                "-c",
                configuration,
            ]
        else:
            text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
            self._command = [program, "-db", "-f", configuration]
        configuration.write_text(text)

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while not self._listens():
            if self._process.poll() is not None:
                raise RuntimeError(f"the proxy ended: {self._log.read_text()}")
            time.sleep(0.02)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"
