"""What stands before the pages of a server on this machine: who may ask, and what an answer may be used for."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READING = ("GET", "HEAD")


class Guard:
    """Lets requests through that read, name this server as their host, and have its token first in their path.

    A page of another site can make a browser ask this machine, or, by a name of its own that it lets point here
    (DNS rebinding), even read the answers: it knows neither the token nor can it give another host than its own.

    Args:
        app: what answers them.
        token: of the addresses that are answered.
        hosts: as browsers name this server.
        headers: of every answer.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Collection[str], headers: Mapping[str, str]) -> None:
        self._app, self._token, self._hosts, self._headers = app, token.encode(), frozenset(hosts), headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have it answered."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        app = self._app if scope["type"] != "http" else self._refusal(scope) or self._app
        await app(scope, receive, sent)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if Headers(scope=scope).getlist("host") not in [[host] for host in self._hosts]:
            return PlainTextResponse("This server answers for 127.0.0.1 and localhost alone.", 403)
        token = str(scope["path"]).removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(token.encode(errors="surrogatepass"), self._token):
            text = "This address lacks its token: open the one that seedbed watch has printed."
            return PlainTextResponse(text, 403)
        if scope["method"] not in READING:
            return PlainTextResponse("Nothing can be changed here.", 405, {"Allow": ", ".join(READING)})
        return None
