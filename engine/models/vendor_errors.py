"""Vendors' errors into ours, at the border: by the class's name, then by status, then by the words.

Names and not classes, since neither SDK may be imported for it; a test walks both and finds each class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.errors import (
    ModelAuthError,
    ModelBadReply,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRefused,
    ModelTimeout,
    ModelTooLong,
    ModelUnavailable,
)
from engine.models.names import Target, host_of, variable_of
from engine.models.redact import redact

# Class name -> what it is. "request" and "status" are looked at more closely.
KINDS: dict[str, str] = {
    "AuthenticationError": "auth",
    "OAuthError": "auth",
    "SubjectTokenProviderError": "auth",
    "PermissionDeniedError": "auth",
    "NotFoundError": "missing",
    "LiteLLMUnknownProvider": "missing",
    "ModelNotMappedError": "missing",
    "RateLimitError": "rate",
    "PaymentRequiredError": "money",
    "BudgetExceededError": "money",
    "APITimeoutError": "timeout",
    "Timeout": "timeout",
    "APIConnectionError": "connection",
    "ConflictError": "server",
    "InternalServerError": "server",
    "ServiceUnavailableError": "server",
    "BadGatewayError": "server",
    "MidStreamFallbackError": "broken",
    "ConnectError": "connection",
    "WebSocketConnectionClosedError": "broken",
    "WebSocketQueueFullError": "broken",
    "ContextWindowExceededError": "long",
    "ContentPolicyViolationError": "refused",
    "ContentFilterFinishReasonError": "refused",
    "RejectedRequestError": "refused",
    "GuardrailRaisedException": "refused",
    "BlockedPiiEntityError": "refused",
    "ModifyResponseException": "refused",
    "SensitiveDataRouteException": "refused",
    "LengthFinishReasonError": "reply",
    "APIResponseValidationError": "reply",
    "JSONSchemaValidationError": "reply",
    "BadRequestError": "request",
    "InvalidRequestError": "request",
    "UnprocessableEntityError": "request",
    "UnsupportedParamsError": "request",
    "ImageFetchError": "request",
    "VectorStoreSearchError": "request",
    "InvalidWebhookSignatureError": "request",
    "APIStatusError": "status",
    "APIError": "status",
    "MockException": "status",
    "OpenAIError": "status",
    # httpx, which the SDKs let through when a stream breaks off.
    "TimeoutException": "timeout",
    "TransportError": "broken",
    "StreamError": "broken",
    "DecodingError": "broken",
    "HTTPStatusError": "status",
    "RequestError": "broken",
    "HTTPError": "broken",
    "CookieConflict": "request",
    "TooManyRedirects": "address",
    "InvalidURL": "address",
    "UnsupportedProtocol": "address",
}
VENDORS = ("openai", "litellm", "httpx", "httpcore")

_TOO_LONG = re.compile(
    r"context.{0,12}(length|size|window)|maximum context|too many tokens|prompt is too long|exceed_context|"
    r"(input|prompt|request).{0,40}exceeds? the .{0,20}(limit|maximum|context)",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"content.?(policy|filter|management)|safety (system|setting)|responsible ai", re.IGNORECASE
)
_NO_MODEL = re.compile(
    r"model.{0,60}(not found|does not exist|not exist|unknown|try pulling)|no such model|unknown model",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"insufficient.?(quota|funds|balance|credit)|exceeded your current quota|billing|credit balance",
    re.IGNORECASE,
)
# LiteLLM hands on what the operating system said as an error of the server's.
_NO_CONNECTION = re.compile(
    r"\[Errno (-[2-5]|101|111|113)\]|name or service not known|name resolution|nodename nor servname|"
    r"getaddrinfo failed|no address associated|network is unreachable|all connection attempts failed|"
    r"cannot connect to host",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"api.?key.{0,20}(invalid|incorrect|not valid|missing|expired)|(invalid|incorrect).{0,10}api.?key",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A translated error. `words` are the vendor's, codes included, for reading alone: they may hold a key.

    `again` says that the call may work a moment later, `wait` when, in seconds, if the vendor tells.
    """

    error: ModelError
    kind: str
    words: str = ""
    again: bool = False
    wait: float | None = None


def is_vendors(error: BaseException) -> bool:
    """Whether an exception comes out of one of the SDKs."""
    return any(cls.__module__.partition(".")[0] in VENDORS for cls in type(error).__mro__)


def never_sent(error: BaseException) -> bool:
    """Whether the connection was not even made, so that nothing can have been charged."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ in ("ConnectError", "ConnectTimeout"):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def kind_of(cls: type[BaseException]) -> str | None:
    """The kind of an SDK's exception class, by the nearest ancestor that is named here."""
    for ancestor in cls.__mro__:
        if ancestor.__module__.partition(".")[0] in VENDORS and ancestor.__name__ in KINDS:
            return KINDS[ancestor.__name__]
    return None


def translate(error: BaseException, target: Target, secrets: Iterable[str] = ()) -> Failure:
    """An SDK's exception as one of ours, its message free of keys."""
    original = getattr(error, "original_exception", None)
    if isinstance(original, BaseException) and getattr(error, "is_pre_first_chunk", False):
        return translate(original, target, secrets)
    message, codes = _vendor_words(error)
    kind = _closer(kind_of(type(error)) or "status", _status(error), f"{message} {codes}")
    made = _MAKERS[kind](target, redact(message, secrets))
    made.message = made.message[0].upper() + made.message[1:]
    again = kind in ("rate", "connection", "server", "broken")
    return Failure(made, kind, f"{message} {codes}", again, _retry_after(error))


def no_key(target: Target) -> ModelError:
    """For a call that needs a key when there is none."""
    return ModelAuthError(f"There is no key for {target.title}.", _key_fix(target))


def _closer(kind: str, status: int | None, message: str) -> str:
    """Look at status and words where the class alone does not tell."""
    if kind == "status":
        kind = _by_status(status)
    if kind in ("server", "broken") and _NO_CONNECTION.search(message):
        return "connection"
    if kind in ("request", "server") and _TOO_LONG.search(message):
        return "long"
    if kind == "request":
        for pattern, found in (
            (_REFUSED, "refused"),
            (_NO_MODEL, "missing"),
            (_NO_MONEY, "money"),
            (_BAD_KEY, "auth"),
        ):
            if pattern.search(message):
                return found
    return "money" if kind == "rate" and _NO_MONEY.search(message) else kind


def _by_status(status: int | None) -> str:
    if status is None:
        return "server"
    known = {401: "auth", 402: "money", 403: "auth", 404: "missing", 408: "timeout", 413: "long", 429: "rate"}
    return known.get(status, "server" if status >= 500 else "request")


def _status(error: BaseException) -> int | None:
    found = getattr(error, "status_code", None)
    try:
        return int(found) if found is not None else None
    except (TypeError, ValueError):
        return None


def _vendor_words(error: BaseException) -> tuple[str, str]:
    """What the vendor said, without the SDK's own wrapping, and the codes beside it."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, dict) and inner.get("message"):
        codes = [str(inner[key]) for key in ("code", "type", "param") if inner.get(key) is not None]
        return str(inner["message"]), " ".join(codes)
    text = str(getattr(error, "message", None) or error)
    found = re.search(r'"message":\s*"((?:[^"\\]|\\.)*)"', text)
    if found:
        return found.group(1), text[found.end() :]
    return re.sub(r"^(?:litellm\.)?(?:\w+(?:Error|Exception)\b[:\s-]*)+", "", text), ""


def _retry_after(error: BaseException) -> float | None:
    headers = getattr(error, "litellm_response_headers", None) or getattr(
        getattr(error, "response", None), "headers", None
    )
    value = headers.get("retry-after") if headers is not None else None
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:
        return None


def _auth(target: Target, said: str) -> ModelError:
    return ModelAuthError(f"{target.title} refused the key.", _key_fix(target))


def _key_fix(target: Target) -> str:
    if target.address:
        where = host_of(target.address)
        return f"Give its key as PARLANCE_API_KEY beside PARLANCE_API_BASE ({where}); no other goes there."
    return f"Set {variable_of(target.provider)} to a key that works, or paste one in the page's settings."


def _missing(target: Target, said: str) -> ModelError:
    if target.provider == "ollama":
        return ModelMissing(
            f"Ollama has no model {target.model!r}.", f"Fetch it with `ollama pull {target.model}`."
        )
    fix = (
        "Check the name, or the address it is asked at."
        if target.address
        else "Check the name, or take another model."
    )
    return ModelMissing(f"{target.title} knows no model {target.model!r}.", fix)


def _rate(target: Target, said: str) -> ModelError:
    return ModelRateLimited(
        f"{target.title} has had too many requests.", "Wait a minute, or use another model."
    )


def _money(target: Target, said: str) -> ModelError:
    return ModelRateLimited(
        f"The account with {target.title} has no credit left.", "Add credit there, or use another model."
    )


def _timeout(target: Target, said: str) -> ModelError:
    return ModelTimeout(
        f"{target.title} did not answer in time.", "Try again, or give the node a longer `timeout`."
    )


def _connection(target: Target, said: str) -> ModelError:
    if target.provider == "ollama":
        return ModelUnavailable("Ollama does not answer.", "Start Ollama with `ollama serve`.")
    if target.address:
        return ModelUnavailable(f"{target.title} does not answer.", "Start it, or check the address.")
    return ModelUnavailable(f"There is no connection to {target.title}.", "Check the network.")


def _server(target: Target, said: str) -> ModelError:
    return ModelUnavailable(
        f"{target.title} has an error of its own: {_short(said)}", "Try again in a moment."
    )


def _broken(target: Target, said: str) -> ModelError:
    return ModelUnavailable(f"The reply of {target.title} broke off.", "Try again.")


def _long(target: Target, said: str) -> ModelError:
    return ModelTooLong(
        f"The prompt is too long for {target.name}: {_short(said)}",
        "Shorten it, or use a model with more room.",
    )


def _refused(target: Target, said: str) -> ModelError:
    return ModelRefused(f"{target.title} refused the request: {_short(said)}", "Say it in other words.")


def _reply(target: Target, said: str) -> ModelError:
    return ModelBadReply(f"{target.title} sent a reply that can't be read: {_short(said)}", "Try again.")


def _request(target: Target, said: str) -> ModelError:
    return ModelError(
        f"{target.title} did not accept the request: {_short(said)}", "Check the model's settings."
    )


def _address(target: Target, said: str) -> ModelError:
    return ModelMissing(
        f"{target.title} has an address that can't be called.", "Write it like http://127.0.0.1:8000/v1."
    )


_MAKERS: dict[str, Callable[[Target, str], ModelError]] = {
    "auth": _auth,
    "missing": _missing,
    "rate": _rate,
    "money": _money,
    "timeout": _timeout,
    "connection": _connection,
    "server": _server,
    "broken": _broken,
    "long": _long,
    "refused": _refused,
    "reply": _reply,
    "request": _request,
    "address": _address,
}


def _short(said: str) -> str:
    text = " ".join(said.split())[:240].rstrip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
