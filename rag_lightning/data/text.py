"""A file's bytes as text, with an error that names the line where it is not text."""

import gzip
import zlib
from pathlib import Path

from rag_lightning.config.inputs import note_input
from rag_lightning.errors import UserError

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_bytes(path: Path) -> bytes:
    """The file's content; ``.gz`` files are unpacked."""
    note_input(path)
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise UserError(
            "the gzip file is damaged or cut off", where=str(path), remedy="Copy or download it again."
        ) from None
    except OSError as error:
        raise UserError(
            f"the file cannot be read ({error.strerror})", where=str(path), remedy="Check its rights and the disk."
        ) from None


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The file as text with ``\\n`` line ends and without a byte order mark.

    Raises:
        UserError: the file is empty, is not in ``encoding``, or holds a NUL.
    """
    content = read_bytes(path)
    if not content.strip():
        raise UserError(
            "the file is empty", where=str(path), remedy="Put examples in it, or choose another file with data.path."
        )
    if content.startswith(_UTF16_MARKS) and encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        raise UserError("the file is in UTF-16, not UTF-8", where=f"{path}:1", remedy="Set data.encoding=utf-16.")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        other = "latin-1" if "utf" in encoding.lower() else "utf-8"
        raise UserError(
            f"the file is not {encoding.upper()}: byte 0x{content[error.start]:02x} at offset {error.start:,}",
            where=f"{path}:{line}",
            remedy=f"Set data.encoding={other}, or save the file as UTF-8.",
        ) from None
    nul = text.find("\x00")
    if nul >= 0:
        line = text.count("\n", 0, nul) + 1
        raise UserError(
            f"a NUL character stands at character {nul - text.rfind(chr(10), 0, nul)} of the line",
            where=f"{path}:{line}",
            remedy="Remove it, or check that the file was written completely and is not a binary file.",
        )
    # Only these three are line ends: str.splitlines would also cut at U+2028, U+0085 and form feeds.
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def shorten(text: str, width: int = 60) -> str:
    """``text`` in a form that fits into a message and can be printed (no lone surrogates)."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= width else f"{text[:width]}… ({len(text):,} characters)"
