"""Files made by hand for tests: small PDFs, images, and some that mean harm."""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncIterator

from PIL import Image


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    """The pieces, as they would come over a line."""
    for piece in pieces:
        yield piece


def pdf(*pages: str, content: bytes | None = None) -> bytes:
    """A PDF with a line of text on each page; `content` stands for every page's stream, already deflated."""
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for text in pages:
        raw = content or zlib.compress(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1"))
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(raw) + raw + b"\nendstream")
        page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
        objects.append(page % len(objects) + b" /Resources << /Font << /F1 3 0 R >> >> >>")
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [" + b" ".join(kids) + b"] /Count %d >>" % len(kids)
    out, places = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, io.SEEK_END)
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n" % number + body + b"\nendobj\n")
    xref = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref))
    return out.getvalue()


def bomb() -> bytes:
    """A PDF of about a hundred kB whose page unpacks to 120 MB."""
    packed = zlib.compressobj(9)
    piece = b"BT (" + b"A" * 999_990 + b") Tj "
    return pdf("", content=b"".join([*(packed.compress(piece) for _ in range(120)), packed.flush()]))


def image(width: int = 8, height: int = 6, format: str = "PNG", color: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), color).save(out, format)
    return out.getvalue()
