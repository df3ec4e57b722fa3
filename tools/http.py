"""http_get: read an address of the public internet, or of a private host that the document or the person named.

The address is resolved here and the connection goes to the address that was checked, at every
redirect anew, so that neither a redirect nor a second answer of the name server leads into this
machine or its local network. Link-local addresses, where clouds hand out keys, are never read.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.errors import ToolError, ToolRetry
from tools.tool import Effect, ToolContext, tool

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_BYTES = 2 * 1024 * 1024
MAX_REDIRECTS = 5
DEFAULT_TIMEOUT = 20.0
# Of the answers that are errors, those that may be different a moment later.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@tool(
    description=(
        "Read a web address (http or https) and give back what it answers. This machine and its local network "
        "are read only where the workflow itself or its inputs name the host, never where a model or a tool does."
    ),
    parameters={
        "url": {"type": "string", "minLength": 1, "maxLength": 8000, "description": "The address"},
        "params": {"type": "object", "default": {}, "description": "Query values to add to the address"},
        "headers": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "default": {},
            "description": "Further request headers",
        },
        "any_status": {
            "type": "boolean",
            "default": False,
            "description": "Also give back answers such as 404; otherwise they are errors",
        },
    },
    returns="An object: status (a number), text, json (null when the body is not JSON), url (the last one).",
    takes_secrets=True,
)
async def http_get(args: Mapping[str, Any], context: ToolContext) -> Any:
    return await fetch(args, context)


async def fetch(
    args: Mapping[str, Any],
    context: ToolContext,
    *,
    method: str = "GET",
    content: bytes | None = None,
    effect: Effect = "none",
) -> dict[str, Any]:
    """Call an address; `args` and the result as those of http_get. For tools of every effect.

    Where the effect of the tool, or of the node that calls it, is `idempotent`, the other side is told the key of
    the call, the same at every attempt, as `Idempotency-Key`. Redirects are followed for GET alone. Raises
    ToolError; `refused` is true where nothing can have been done.
    """
    import httpx

    timeout = min(context.timeout or DEFAULT_TIMEOUT, 120.0)
    keyed = effect == "idempotent" or (effect == "none" and context.effect == "idempotent")
    key = context.idempotency_key if keyed else None
    call = _Call(method, content, {"Idempotency-Key": key} if key else {})
    try:
        async with asyncio.timeout(timeout), _client(timeout) as client:
            response, body = await _follow(client, _first_url(args), args, context, call)
    except TimeoutError:
        raise ToolRetry(
            f"{_host(args['url'])} did not answer within {timeout:g} seconds.", code="no_answer"
        ) from None
    except httpx.TransportError as error:
        refused = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        what = f"{_host(args['url'])} can't be reached: {error or type(error).__name__}."
        raise ToolRetry(what, refused=refused, code="no_connection") from None
    if response.status_code >= 400 and not args.get("any_status"):
        raise _status_error(response)
    return _result(response, body)


@dataclass(frozen=True, slots=True)
class _Call:
    """What goes to the other side beside the address and the caller's headers."""

    method: str
    content: bytes | None
    headers: Mapping[str, str]


def _client(timeout: float) -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(trust_env=False, timeout=timeout, verify=_certificates())


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Loaded once: it takes 30 ms."""
    import httpx

    return httpx.create_ssl_context(trust_env=False)


def _first_url(args: Mapping[str, Any]) -> httpx.URL:
    import httpx

    try:
        url = httpx.URL(args["url"].strip())
        params = {
            k: v if isinstance(v, (str, int, float, bool)) else json.dumps(v)
            for k, v in _params(args).items()
        }
        return url.copy_merge_params(params) if params else url
    except (httpx.InvalidURL, ValueError) as error:
        raise ToolError(
            f"{args['url'][:200]!r} is no web address: {error}.",
            "Write it like https://example.com/page.",
            code="bad_address",
        ) from None


def _params(args: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (args.get("params") or {}).items() if value is not None}


def _host(url: str) -> str:
    import httpx

    return httpx.URL(url.strip()).host


async def _follow(
    client: httpx.AsyncClient,
    url: httpx.URL,
    args: Mapping[str, Any],
    context: ToolContext,
    call: _Call,
) -> tuple[httpx.Response, bytes]:
    """Fetch, going after redirects. The caller's headers go to the first origin only."""
    headers, origin = {**(args.get("headers") or {}), **call.headers}, _origin(url)
    for _ in range(MAX_REDIRECTS + 1):
        sent = {**_own_headers(), **(headers if _origin(url) == origin else {}), "Host": url.netloc.decode()}
        allowed = context.allow_private or (context.own_host and url.host == origin[1])
        response = await _send(client, url, sent, await _checked_addresses(url, allowed), call)
        try:
            if call.method != "GET" or not (response.is_redirect and "location" in response.headers):
                response.extensions["final_url"] = url
                return response, await _body(response)
            url = url.join(response.headers["location"])
        finally:
            await response.aclose()
    raise ToolError(
        f"{origin[1]} redirects more than {MAX_REDIRECTS} times.",
        "Use the address it should end at.",
        code="bad_address",
    )


def _own_headers() -> dict[str, str]:
    return {"User-Agent": "Parlance/0.1", "Accept": "*/*", "Accept-Encoding": "gzip"}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _send(
    client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str], addresses: list[str], call: _Call
) -> httpx.Response:
    """Ask the first of the addresses that can be reached; the certificate must be the host's all the same."""
    import httpx

    for number, address in enumerate(addresses, start=1):
        there = url.copy_with(host=address)
        request = client.build_request(
            call.method,
            there,
            content=call.content,
            headers=headers,
            extensions={"sni_hostname": url.host},
        )
        try:
            return await client.send(request, stream=True, follow_redirects=False)
        except httpx.ConnectError:
            if number == len(addresses):
                raise
    raise ToolRetry(f"The name {url.host} has no address.", refused=True, code="unknown_host")


async def _checked_addresses(url: httpx.URL, allow_private: bool) -> list[str]:
    """The IP addresses of the URL's host, each of which may be called. Raises ToolError or ToolRetry."""
    if url.scheme not in ("http", "https") or not url.host:
        raise ToolError(
            f"{str(url)[:200]!r} can't be read.",
            "The address must begin with http:// or https://.",
            code="bad_address",
        )
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise ToolRetry(
            f"The name {url.host} is not known.",
            "Check the spelling of the address.",
            refused=True,
            code="unknown_host",
        ) from None
    addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
    if any(is_link_local(address) for address in addresses):
        raise ToolError(
            f"{url.host} is a link-local address, which http_get never reads.",
            "Use another one.",
            code="bad_address",
        )
    if not allow_private and not all(is_public(address) for address in addresses):
        raise ToolError(
            f"{url.host} is on this machine or its local network. http_get reads that only where the workflow "
            "or its inputs name the host.",
            "Write the host into the node's url, or make it an input.",
            code="bad_address",
        )
    return list(dict.fromkeys(addresses))


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, also when it wraps another one."""
    ip = _meant(address)
    return ip.is_global and not ip.is_multicast


def is_link_local(address: str) -> bool:
    """Whether an IP address holds on its own cable alone (169.254.0.0/16, fe80::/10), also when it is wrapped."""
    return _meant(address).is_link_local


def _meant(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address, or the one that it wraps."""
    ip = ipaddress.ip_address(address)
    if not isinstance(ip, ipaddress.IPv6Address):
        return ip
    wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
    if not wrapped and ip in ipaddress.ip_network("64:ff9b::/96"):
        wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return wrapped or ip


async def _body(response: httpx.Response) -> bytes:
    """The body, unpacked, at most MAX_BYTES before and after unpacking."""
    packed = bytearray()
    async for chunk in response.aiter_raw():
        packed += chunk
        if len(packed) > MAX_BYTES:
            raise _too_big()
    coding = response.headers.get("content-encoding", "identity").lower()
    if coding in ("identity", "") or not packed:
        return bytes(packed)
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ToolError(f"The answer is packed as {coding}, which was not asked for.")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        body = unpacker.decompress(bytes(packed), MAX_BYTES)
    except zlib.error:
        raise ToolRetry("The answer arrived broken.", code="no_answer") from None
    if unpacker.unconsumed_tail:
        raise _too_big()
    return body


def _too_big() -> ToolError:
    return ToolError(f"The answer is larger than {MAX_BYTES // 1024 // 1024} MiB.", "Ask for a smaller page.")


def _status_error(response: httpx.Response) -> ToolError:
    url: httpx.URL = response.extensions["final_url"]
    message = f"{url.host} answered {response.status_code} {response.reason_phrase}".strip() + "."
    about = {"status": response.status_code}
    if response.status_code in _PASSING:
        return ToolRetry(message, "Try again in a moment.", code="server_busy", about=about)
    fixes = {
        401: "It wants a key: give it in `headers`.",
        403: "It refuses this reader.",
        404: "Check the address.",
    }
    return ToolError(message, fixes.get(response.status_code), code=_code(response.status_code), about=about)


def _code(status: int) -> str:
    """What kind of failure a status is that will not pass by itself."""
    if status >= 500:
        return "server_failed"
    return {401: "key_refused", 402: "quota", 403: "key_refused", 404: "not_found", 410: "not_found"}.get(
        status, "request_refused"
    )


def _result(response: httpx.Response, body: bytes) -> dict[str, Any]:
    try:
        text = body.decode(response.charset_encoding or "utf-8", errors="replace")
    except LookupError:
        text = body.decode("utf-8", errors="replace")
    return {
        "status": response.status_code,
        "text": text,
        "json": _json_or_none(text),
        "url": str(response.extensions["final_url"]),
    }


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
