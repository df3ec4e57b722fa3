"""http_get: what it reads, and every way into this machine that it must not take."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fakes.site import Site, open_site
from tools import http
from tools.http import MAX_BYTES, http_get, is_public
from tools.registry import ToolContext, ToolError, ToolRetry

INSIDE = ToolContext(allow_private=True)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site() as made:
        yield made


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Host names of the test's own, as a name server would answer: each look-up takes the next address."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host in known:
            answers = known[host]
            host = answers.pop(0) if len(answers) > 1 else answers[0]
        return real(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


async def get(url: str, context: ToolContext = INSIDE, **args: Any) -> Any:
    return await http_get({"url": url, **args}, context)


async def test_a_page_and_its_json(site: Site) -> None:
    site.pages["/a"] = (200, {"Content-Type": "application/json"}, '{"ü": [1]}'.encode())
    site.pages["/b"] = (200, {"Content-Type": "text/html; charset=latin-1"}, "Grüße".encode("latin-1"))
    found = await get(f"{site.url}/a", params={"q": "x y", "n": 2, "none": None}, headers={"X-Mine": "1"})
    assert found == {
        "status": 200,
        "text": '{"ü": [1]}',
        "json": {"ü": [1]},
        "url": f"{site.url}/a?q=x+y&n=2",
    }
    path, headers = site.seen[0]
    assert path == "/a?q=x+y&n=2"
    assert (headers["x-mine"], headers["host"]) == ("1", f"127.0.0.1:{site.port}")
    other = await get(f"{site.url}/b")
    assert (other["text"], other["json"]) == ("Grüße", None)


async def test_answers_that_are_errors(site: Site) -> None:
    with pytest.raises(ToolError, match=r"answered 404.*Check the address") as caught:
        await get(f"{site.url}/none")
    assert not isinstance(caught.value, ToolRetry)
    for status in (429, 500, 503):
        site.pages["/x"] = (status, {}, b"")
        with pytest.raises(ToolRetry, match=str(status)):
            await get(f"{site.url}/x")
    assert (await get(f"{site.url}/none", any_status=True))["status"] == 404


async def test_redirects_are_followed_and_headers_stay_with_the_first_origin(site: Site) -> None:
    site.pages["/start"] = (302, {"Location": "/middle"}, b"")
    site.pages["/middle"] = (307, {"Location": f"http://localhost:{site.port}/end"}, b"")
    site.pages["/end"] = (200, {}, b"there")
    found = await get(f"{site.url}/start", headers={"Authorization": "Bearer secret"})
    assert (found["text"], found["url"]) == ("there", f"http://localhost:{site.port}/end")
    assert [headers.get("authorization") for _, headers in site.seen] == [
        "Bearer secret",
        "Bearer secret",
        None,
    ]
    assert site.seen[2][1]["host"] == f"localhost:{site.port}"
    site.pages["/loop"] = (302, {"Location": "/loop"}, b"")
    with pytest.raises(ToolError, match="more than 5 times"):
        await get(f"{site.url}/loop")
    site.pages["/file"] = (302, {"Location": "file:///etc/passwd"}, b"")
    with pytest.raises(ToolError, match="http:// or "):
        await get(f"{site.url}/file")


async def test_sizes_are_bounded_before_and_after_unpacking(site: Site) -> None:
    site.pages["/packed"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"small"))
    assert (await get(f"{site.url}/packed"))["text"] == "small"
    site.pages["/bomb"] = (
        200,
        {"Content-Encoding": "gzip"},
        await asyncio.to_thread(gzip.compress, bytes(50 * MAX_BYTES)),
    )
    site.pages["/big"] = (200, {}, bytes(MAX_BYTES + 1))
    for page in ("/bomb", "/big"):
        with pytest.raises(ToolError, match="larger than 2 MiB"):
            await get(site.url + page)
    site.pages["/brotli"] = (200, {"Content-Encoding": "br"}, b"x")
    with pytest.raises(ToolError, match="packed as br"):
        await get(f"{site.url}/brotli")


async def test_a_time_out_and_no_server(site: Site) -> None:
    site.delay = 5
    with pytest.raises(ToolRetry, match=r"within 0\.2 seconds"):
        await get(site.url, ToolContext(allow_private=True, timeout=0.2))
    with pytest.raises(ToolRetry, match="can't be reached"):
        await get("http://127.0.0.1:9/")
    with pytest.raises(ToolRetry, match="not known"):
        await get("http://no-such-name.invalid/")


@pytest.mark.parametrize(
    "url", ["ftp://example.com/", "file:///etc/passwd", "example.com", "http://", "http://a:b/", "//x"]
)
async def test_what_is_no_web_address(url: str) -> None:
    with pytest.raises(ToolError) as caught:
        await get(url)
    assert "http" in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "127.0.0.1.",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
async def test_this_machine_and_its_network_are_out_of_reach(site: Site, host: str) -> None:
    with pytest.raises(ToolError, match=r"its local network|is not known|link-local"):
        await get(f"http://{host}:{site.port}/", ToolContext())
    assert site.seen == []


async def test_a_public_name_that_points_inside(site: Site, names: dict[str, list[str]]) -> None:
    names["innocent.example"] = ["127.0.0.1"]
    with pytest.raises(ToolError, match="on this machine or its local network"):
        await get(f"http://innocent.example:{site.port}/", ToolContext())
    assert site.seen == []


async def test_the_address_that_was_checked_is_the_one_that_is_called(
    site: Site, names: dict[str, list[str]]
) -> None:
    """A name server that answers 93.184.216.34 to the check and 127.0.0.1 to the call (DNS rebinding)."""
    names["rebinding.example"] = ["93.184.216.34", "127.0.0.1"]
    called: list[str] = []
    real = asyncio.get_running_loop().create_connection

    async def watched(factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:
        called.append(host)
        raise OSError("not from a test")

    asyncio.get_running_loop().create_connection = watched  # type: ignore[method-assign, assignment]
    try:
        with pytest.raises(ToolRetry, match=r"rebinding\.example can't be reached"):
            await get(f"http://rebinding.example:{site.port}/", ToolContext())
    finally:
        asyncio.get_running_loop().create_connection = real  # type: ignore[method-assign]
    assert set(called) == {"93.184.216.34"}
    assert site.seen == []


async def test_a_redirect_into_this_machine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first hop counts as public, as a real site would; the second one is checked like any other."""
    site.pages["/start"] = (302, {"Location": f"http://localhost:{site.port}/secret"}, b"")
    site.pages["/secret"] = (200, {}, b"inside")
    monkeypatch.setattr(http, "is_public", lambda address: len(site.seen) == 0)
    with pytest.raises(ToolError, match="localhost is on this machine"):
        await get(f"{site.url}/start", ToolContext())
    assert [path for path, _ in site.seen] == ["/start"]


OWN = ToolContext(own_host=True)


async def test_a_private_host_that_the_person_named(site: Site, names: dict[str, list[str]]) -> None:
    """It is read, and redirects on it are followed; one to another private host is not."""
    site.pages["/start"] = (302, {"Location": "/end"}, b"")
    site.pages["/end"] = (200, {}, b"mine")
    assert (await get(f"{site.url}/start", OWN))["text"] == "mine"
    names["nas.example"] = ["127.0.0.1"]
    assert (await get(f"http://nas.example:{site.port}/end", OWN))["text"] == "mine"
    for other in ("localhost", "nas.example"):
        site.pages["/away"] = (302, {"Location": f"http://{other}:{site.port}/end"}, b"")
        with pytest.raises(ToolError, match=f"{other} is on this machine"):
            await get(f"{site.url}/away", OWN)


@pytest.mark.parametrize("context", [OWN, INSIDE, ToolContext()])
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "2852039166",
        "[fe80::1]",
        "meta.example",
    ],
)
async def test_link_local_addresses_are_never_read(
    names: dict[str, list[str]], host: str, context: ToolContext
) -> None:
    names["meta.example"] = ["169.254.169.254"]
    with pytest.raises(ToolError, match="link-local"):
        await get(f"http://{host}/latest/meta-data/", context)


async def test_a_redirect_to_a_link_local_address(site: Site) -> None:
    site.pages["/start"] = (302, {"Location": "http://169.254.169.254/latest/"}, b"")
    for context in (OWN, INSIDE):
        with pytest.raises(ToolError, match="link-local"):
            await get(f"{site.url}/start", context)


def test_public_addresses() -> None:
    for address in ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"):
        assert is_public(address), address
    for address in (
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "192.0.2.1",
        "198.18.0.1",
        "ff02::1",
        "2001:db8::1",
    ):
        assert not is_public(address), address


def test_certificates_are_checked() -> None:
    context = http._certificates()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


async def test_a_header_with_a_secret_is_not_in_an_error(site: Site) -> None:
    site.pages["/x"] = (500, {}, json.dumps({"you": "sent it"}).encode())
    with pytest.raises(ToolRetry) as caught:
        await get(f"{site.url}/x?token=hunter2", headers={"Authorization": "hunter2"})
    assert "hunter2" not in str(caught.value)
