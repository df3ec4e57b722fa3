"""Secrets written into a document: keys of vendors, private keys, passwords. What is found is never repeated.

A document is stored, versioned, shown in chats and sent to models; a secret belongs into none of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from engine.check.draft import Draft
from engine.check.rules import Found, Path, rule
from engine.problems import Problem
from engine.templates import compile_template

_PATTERNS: Mapping[str, str] = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----",
    "an Anthropic key": r"sk-ant-[\w-]{16,}",
    "an OpenAI key": r"sk-(?:proj-|svcacct-|admin-)?(?=[\w-]*\d)[\w-]{20,}",
    "a Stripe key": r"[sr]k_(?:live|test)_\w{16,}",
    "an AWS access key": r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    "a GitHub token": r"(?:gh[pousr]_\w{30,}|github_pat_\w{22,})",
    "a GitLab token": r"glpat-[\w-]{20,}",
    "a Slack token": r"xox[abeoprs]-[\w-]{10,}",
    "a Slack webhook": r"https://hooks\.slack\.com/services/T\w+/B\w+/\w{16,}",
    "a Google key": r"AIza[\w-]{35}",
    "a Google token": r"ya29\.[\w-]{20,}",
    "a Hugging Face token": r"hf_[A-Za-z0-9]{30,}",
    "a Groq key": r"gsk_\w{32,}",
    "a Twilio key": r"SK[0-9a-f]{32}",
    "a SendGrid key": r"SG\.[\w-]{16,}\.[\w-]{16,}",
    "a Telegram bot token": r"\d{8,10}:AA[\w-]{32,}",
    "an npm token": r"npm_[A-Za-z0-9]{36}",
    "a signed token (JWT)": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a bearer token": r"(?i:bearer|token)\s+(?=[\w.~+/-]*\d)[\w.~+/-]{20,}=*",
    "a password in an address": r"[a-z][a-z0-9+.-]*://[^\s/:@{}\"']+:(?!\{)[^\s/@{}\"']{3,}@",
}
_EDGE = r"(?<![A-Za-z0-9_])"
_SECRET = re.compile("|".join(f"(?P<p{i}>{_EDGE}{p})" for i, p in enumerate(_PATTERNS.values())))
_HINTS = re.compile(
    r"-----BEGIN|sk-|[sr]k_|AKIA|ASIA|gh[pousr]_|github_pat|glpat|xox|hooks\.slack|AIza|ya29|hf_|gsk_|SK[0-9a-f]|SG\.|:AA|npm_|eyJ|(?i:bearer|token)\s|://\S*@"
)
_SECRET_KEY = re.compile(
    r"(?:.*[_.-])?(?:password|passwd|passphrase|pwd|secret|api[_-]?key|apikey|access[_-]?key|auth[_-]?token|access[_-]?token"
    r"|private[_-]?key|client[_-]?secret|authorization|x-api-key|credentials?|token)",
    re.IGNORECASE,
)
_HANDED = frozenset(("args", "config", "llm", "tool_config"))
_HARMLESS = re.compile(
    r"(?i:none|null|true|false|basic|bearer|x+|\*+|\.+|<.*>|your[_ -].*|changeme|example|todo|\S{0,3})"
    r"|\$?\{?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\}?"  # the name of an environment variable
)


def kind_of_secret(text: str) -> str | None:
    """What sort of secret stands in a text; None where there is none."""
    match = _SECRET.search(text) if _HINTS.search(text) else None
    return list(_PATTERNS)[int(str(match.lastgroup)[1:])] if match else None


class Redactor:
    """Strikes secrets out of what other rules say: a message may show a value or a name of the document."""

    def __init__(self, draft: Draft) -> None:
        self._literals = sorted(
            {text.strip() for path, text in draft.texts if _by_its_key(path, text)},
            key=len,
            reverse=True,
        )

    def clean(self, problem: Problem) -> Problem:
        """The problem without secrets in its message, path and patch."""
        message, path, patch = self._strike(problem.message), self._strike(problem.path), problem.patch
        if patch and self._strike(patch.text) != patch.text:
            patch = None  # a mend that writes the secret anew; it is to go, not to be mended round
        unchanged = (message, path, patch) == (problem.message, problem.path, problem.patch)
        return problem if unchanged else replace(problem, message=message, path=path, patch=patch)

    def _strike(self, text: str) -> str:
        for literal in self._literals:
            text = text.replace(literal, "…")
        return _SECRET.sub("…", text) if _HINTS.search(text) else text


@rule("secret-in-document", "error")
def secret_in_document(draft: Draft) -> Iterator[Found]:
    """A key, token or password is written into the workflow, where everybody who sees it can read it.

    Remove it and make it invalid at its vendor's, for it has been seen. A tool gets a secret as
    `{secret.NAME}` in its `args`, set as `PARLANCE_SECRET_NAME` in the environment; a model's key is given
    to the installation, never to a workflow.
    """
    seen: set[int] = set()
    for path, text in draft.texts:
        what = kind_of_secret(text) or _by_its_key(path, text)
        if what:
            line, _ = draft.document.position(path)
            end, _ = draft.document.span(path)[1]
            seen.update(range(line, end + 1))
            yield Found(path, _message(what, path))
    yield from _elsewhere(draft, seen)


def _message(what: str, path: Path) -> str:
    if "llm" in path:
        advice = "Remove it, and give it to the installation instead."
    else:
        advice = "Write {secret.NAME} in a tool's args instead, and set PARLANCE_SECRET_NAME."
    return f"This looks like {what}, which everybody who sees the workflow could use. {advice}"


def _by_its_key(path: Path, text: str) -> str | None:
    """A literal at a key such as `password`, within what is handed to tools or servers."""
    name = next((str(step) for step in reversed(path) if isinstance(step, str)), "")
    if not _SECRET_KEY.fullmatch(name) or not _HANDED.intersection(path[:-1]) or compile_template(text).refs:
        return None
    bare = text.strip()
    return None if " " in bare.removeprefix("Basic ") or _HARMLESS.fullmatch(bare) else "a password or key"


def _elsewhere(draft: Draft, seen: set[int]) -> Iterator[Found]:
    """Secrets in comments and keys, on lines that no value was reported for."""
    text = draft.document.text
    if not _HINTS.search(text):
        return
    for match in _SECRET.finditer(text):
        line, column = draft.document.place(match.start())
        if line not in seen:
            seen.add(line)
            what = list(_PATTERNS)[int(str(match.lastgroup)[1:])]
            yield Found((), _message(what, ()), at=(line, column))


RULES = (secret_in_document,)
