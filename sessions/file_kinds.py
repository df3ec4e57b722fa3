"""What a file is, told by its content: a name is only a label, and may say anything.

Text is what decodes as text and holds no control characters, an image what Pillow reads within bounds, a PDF what
begins as one (and is read by `sessions.pdf_text`). HTML is text here, as it is never shown as a page.
"""

from __future__ import annotations

import io
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InputError

MOST_TEXT = 500_000
"""Characters that are read of a file; the rest is left out, and that is said."""
MOST_PIXELS = 40_000_000
LONGEST_SIDE = 1_568
"""Pixels of an image's longer side as a model is sent it; more tell it nothing more."""
LARGEST_SENT = 3 * 1024 * 1024
PDF = "application/pdf"
IMAGES = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_BY_SUFFIX = {
    ".csv": "text/csv", ".tsv": "text/tab-separated-values", ".md": "text/markdown", ".markdown": "text/markdown",
    ".yaml": "application/yaml", ".yml": "application/yaml",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffe\uffff]")
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True, slots=True)
class Kind:
    """`details` tell what else is known: encoding, pages, width, height, characters, note."""

    media_type: str
    details: dict[str, Any]


def kind_of(path: Path, name: str) -> Kind:
    """What the file at `path` is. InputError for what can't be attached. A PDF is not looked into here."""
    with path.open("rb") as source:
        start = source.read(1024)
    if b"%PDF-" in start:
        return Kind(PDF, {})
    if start.startswith(_MAGIC) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return _image(path, name)
    text, encoding = decode(path.read_bytes(), name)
    details: dict[str, Any] = {"encoding": encoding, "characters": len(text)}
    notes = []
    if encoding == "latin-1":
        notes.append("It is not UTF-8; it was read as Latin-1.")
    if len(text) > MOST_TEXT:
        notes.append(f"Of its text the first {MOST_TEXT:,} characters are used.")
    if notes:
        details["note"] = " ".join(notes)
    return Kind(_text_type(text, name), details)


def decode(data: bytes, name: str) -> tuple[str, str]:
    """(text, encoding): by its mark, as UTF-8, else as Latin-1. InputError for what is no text."""
    named = next((encoding for mark, encoding in _BOMS if data.startswith(mark)), None)
    for encoding in (named,) if named else ("utf-8", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not _CONTROL.search(text):
            return text.replace("\r\n", "\n"), encoding.removesuffix("-sig")
    raise InputError(
        f"“{name}” is of a kind that can't be attached.",
        "Text, CSV, JSON, YAML, Markdown, PDF and images (PNG, JPEG, GIF, WebP) can be.",
        "file",
    )


def _text_type(text: str, name: str) -> str:
    """Among texts the name may say which; JSON has to be some."""
    suffix = Path(name).suffix.lower()
    if suffix == ".json" or text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return "text/plain"
        return "application/json"
    return _BY_SUFFIX.get(suffix, "text/plain")


def _image(path: Path, name: str) -> Kind:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=tuple(IMAGES)) as image:
                width, height, format = image.width, image.height, str(image.format)
                if width * height > MOST_PIXELS:
                    raise Image.DecompressionBombError
                image.load()
    except Image.DecompressionBombError:
        most = MOST_PIXELS // 10**6
        raise InputError(
            f"“{name}” has more than {most} million pixels.", "Make it smaller.", "file"
        ) from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError):
        raise InputError(
            f"“{name}” is no image that can be read.", "Save it anew as PNG or JPEG.", "file"
        ) from None
    return Kind(IMAGES[format], {"width": width, "height": height})


def for_models(path: Path, media_type: str) -> tuple[str, bytes]:
    """(media type, bytes) of an image as a model is sent it: its first frame, no larger than is of use."""
    from PIL import Image, ImageOps

    data = path.read_bytes()
    with Image.open(io.BytesIO(data), formats=tuple(IMAGES)) as opened:
        if max(opened.size) <= LONGEST_SIDE and len(data) <= LARGEST_SENT and media_type != "image/gif":
            return media_type, data
        image = ImageOps.exif_transpose(opened)
        image.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        clear = image.mode in ("RGBA", "LA", "PA", "P")
        sent, format = (image.convert("RGBA"), "PNG") if clear else (image.convert("RGB"), "JPEG")
        out = io.BytesIO()
        sent.save(out, format, **({} if clear else {"quality": 85}))
        if clear and out.tell() > LARGEST_SENT:
            out = io.BytesIO()
            white = Image.new("RGBA", sent.size, "white")
            white.alpha_composite(sent)
            white.convert("RGB").save(out, "JPEG", quality=85)
            return "image/jpeg", out.getvalue()
    return f"image/{format.lower()}", out.getvalue()
