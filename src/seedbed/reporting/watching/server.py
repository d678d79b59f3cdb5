"""The server of a watched page: on this machine alone, for whoever knows its address, and for reading only."""

from __future__ import annotations

import errno
import secrets
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from seedbed.errors import InputError
from seedbed.reporting import page
from seedbed.reporting.watching.guard import Guard
from seedbed.reporting.watching.watched import Watched

HOST = "127.0.0.1"
HTTP_PORT = 80  # which browsers do not name
ENDING_SECONDS = 2  # for requests that are being answered
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": page.policy(live=True),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class WatchServer:
    """Serves the page of what is watched.

    Attributes:
        address: of the page.
        port: on 127.0.0.1.

    Args:
        port: 0 for one that is free.

    Raises:
        InputError: the port cannot be had.
    """

    def __init__(self, watched: Watched, port: int = 0) -> None:
        self._socket = _listening(port)
        self.port: int = self._socket.getsockname()[1]
        token = secrets.token_urlsafe()
        self.address = f"http://{HOST}:{self.port}/{token}/"
        config = uvicorn.Config(
            _app(watched, token, self.port), loop="asyncio", http="h11", ws="none", lifespan="off", proxy_headers=False,
            server_header=False, access_log=False, log_config=None, log_level="error",
            timeout_graceful_shutdown=ENDING_SECONDS,
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def run(self) -> None:
        """Answer until Ctrl-C, which ends this as a KeyboardInterrupt, or ``stop``."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Have ``run`` end, from another thread."""
        self._server.should_exit = True


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "another program listens there",
            errno.EACCES: "this user may not listen there",
        }
        reason = reasons.get(error.errno or 0, str(error))
        raise InputError(
            f"port {port} of {HOST} cannot be had: {reason}. Give another one with --port, or none for one that is free"
        ) from error


def _app(watched: Watched, token: str, port: int) -> Starlette:
    def whole(request: Request) -> Response:
        return HTMLResponse(watched.page())

    async def state(request: Request) -> Response:
        return JSONResponse(watched.state(request.query_params.get("shown", "")))

    names = (HOST, "localhost")
    hosts = [f"{name}:{port}" for name in names] + (list(names) if port == HTTP_PORT else [])
    return Starlette(
        routes=[Route(f"/{token}/", whole), Route(f"/{token}/state", state)],
        middleware=[Middleware(Guard, token=token, hosts=hosts, headers=HEADERS)],
    )
