"""Which modules code in the sandbox may import, and why others are not there.

This is kindness, not the boundary: what code must not reach is not in its machine at all.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


OFFERED = _words("""
    __future__ abc array ast base64 binascii bisect builtins calendar cmath codecs collections colorsys
    configparser contextlib contextvars copy csv dataclasses datetime decimal difflib email enum errno fnmatch
    fractions functools gc getopt graphlib gzip hashlib heapq hmac html inspect io ipaddress itertools json
    keyword locale logging math mimetypes numbers operator os pathlib pickle platform plistlib pprint quopri
    random re reprlib sched secrets shlex sqlite3 statistics string stringprep struct sys textwrap time timeit
    token tokenize tomllib traceback types typing unicodedata unittest urllib uuid warnings weakref xml zipfile
    zlib zoneinfo
""")
NETWORK = frozenset(
    _words("""
    aiohttp ftplib http httpx imaplib poplib requests select selectors smtplib socket socketserver ssl
    urllib.error urllib.request urllib.response urllib.robotparser urllib3 webbrowser xmlrpc
""")
)
PARALLEL = frozenset(_words("_thread asyncio concurrent multiprocessing queue threading trio anyio"))

# What the standard library imports only when it is needed: it must be there already, for no file can be read later.
LEFT_OUT = frozenset(_words("antigravity idlelib lib2to3 pty test this tkinter turtle turtledemo webbrowser"))


def refusal(name: str, allowed: frozenset[str] | None) -> str | None:
    """Why code may not import `name` (dotted); None when it may. `allowed` narrows what is offered."""
    top = name.partition(".")[0]
    if name in NETWORK or top in NETWORK:
        return f"{name} is not in this sandbox, which has no network"
    if top in PARALLEL:
        return f"{name} is not in this sandbox, which does one thing at a time"
    if top not in OFFERED:
        return missing(top)
    if allowed is not None and top not in allowed and name not in allowed:
        names = ", ".join(sorted(allowed)) or "none"
        return f"{name} is not among this node's allowed_modules ({names})"
    return None


def missing(name: str) -> str:
    """What is said of a module that is not bundled."""
    return (
        f"{name} is not in this sandbox; it needs the native or container tier, which a later version brings"
    )
