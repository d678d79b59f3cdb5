"""Who is answered by the server of a watched page, and what its answers may be used for."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.watching_support import PATIENCE, get, watch

pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'seedbed[watch]'")
pytest.importorskip("uvicorn", reason="Uvicorn is not installed: pip install 'seedbed[watch]'")

from seedbed.reporting.watching.server import WatchServer


@pytest.fixture
def server(store: Path) -> Iterator[WatchServer]:
    with watch(store) as found:
        yield found


@pytest.fixture
def root(server: WatchServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def test_the_address_holds_a_token_that_is_drawn_anew(server: WatchServer, root: str, store: Path) -> None:
    assert server.address.startswith(f"{root}/")
    with watch(store) as other:
        tokens = {each.address.split("/")[3] for each in (server, other)}
        assert len(tokens) == 2
        assert min(map(len, tokens)) >= 40
        assert get(other.address.replace(f":{other.port}", f":{server.port}"))[0] == 403


@pytest.mark.parametrize(
    "path", ["", "/", "/state", "/wrong/", "/wrong/state", "//", "/%ff/", "/%00/", "/?token=wrong"]
)
def test_without_the_token_nothing_is_told(path: str, root: str) -> None:
    status, text, _ = get(root + path)
    assert (status, text) == (403, "This address lacks its token: open the one that seedbed watch has printed.")


def test_no_part_of_the_token_will_do(server: WatchServer, root: str) -> None:
    token = server.address.split("/")[3]
    for wrong in (token[:-1], token + "x", token.swapcase(), f"x/{token}", f" {token}".replace(" ", "%20")):
        assert get(f"{root}/{wrong}/")[0] == 403
    assert get(f"{root}/{token}/")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "..", "../", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "state/..",
     "page.js", "seedbed.db", "body"],
)  # fmt: skip
def test_there_are_no_other_pages(path: str, server: WatchServer) -> None:
    assert get(server.address + path)[:2] == (404, "Not Found")


def test_the_last_slash_may_be_left_out(server: WatchServer) -> None:
    assert get(server.address.removesuffix("/"))[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "127.0.0.1:1",
                                  "[::1]:{port}", "127.0.0.1.evil.example:{port}", "0.0.0.0:{port}", ""])  # fmt: skip
def test_another_host_is_refused(host: str, server: WatchServer) -> None:
    status, text, _ = get(server.address, Host=host.format(port=server.port))
    assert (status, text) == (403, "This server answers for 127.0.0.1 and localhost alone.")


def test_localhost_is_this_machine_too(server: WatchServer) -> None:
    assert get(server.address, Host=f"localhost:{server.port}")[0] == 200


def test_two_hosts_are_none(server: WatchServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.putrequest("GET", "/" + server.address.split("/", 3)[3], skip_host=True)
    for host in ("evil.example", f"127.0.0.1:{server.port}"):
        connection.putheader("Host", host)
    connection.endheaders()
    assert connection.getresponse().status in (400, 403)
    connection.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ANY"])
@pytest.mark.parametrize("path", ["", "state"])
def test_nothing_but_reading(method: str, path: str, server: WatchServer) -> None:
    status, _, headers = get(server.address + path, method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_is_answered_without_a_body(server: WatchServer) -> None:
    for path in ("", "state"):
        status, text, headers = get(server.address + path, "HEAD")
        assert (status, text) == (200, "")
        assert int(headers["Content-Length"]) > 0


def test_every_answer_says_what_it_may_be_used_for(server: WatchServer, root: str) -> None:
    policy = unescape(get(server.address)[1].partition('http-equiv="Content-Security-Policy" content="')[2])
    policy = policy.partition('">')[0]
    assert "default-src 'none'" in policy
    answers = [get(server.address), get(f"{server.address}state"), get(f"{server.address}none"), get(f"{root}/none")]
    answers += [get(server.address, "POST"), get(server.address, Host="evil.example")]
    assert [each[0] for each in answers] == [200, 200, 404, 403, 405, 403]
    for _, _, headers in answers:
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"] == policy
        assert not [name for name in headers if name.lower().startswith("access-control-")]
        assert headers["Server"] is None


def test_this_machine_alone(server: WatchServer) -> None:
    import psutil

    own = [each.laddr for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    assert ("127.0.0.1", server.port) in own
    assert not [each for each in own if each.port == server.port and each.ip != "127.0.0.1"]
