"""Fetch a file over HTTP: resumed, checked, retried, and never half a file under the final name.

Bytes arrive in `<file>.part`, with what identifies the server's version in `<file>.part.json` beside it; the
final name appears by a rename after size, digest and kind were checked.
"""

import hashlib
import http.client
import json
import logging
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tqdm import tqdm

from retake.data.archives import starts_like
from retake.schema.card import File

LOG = logging.getLogger(__name__)
BLOCK = 1 << 20
ATTEMPTS = 5  # without a byte of progress
PAUSE_S = 1.0  # before the first retry; doubles each time
TIMEOUT_S = 60.0  # without an answer, or without a byte


class DownloadError(RuntimeError):
    """A file that cannot be had: what was tried and what came back."""


class _PassingError(Exception):
    """The connection failed in a way that may pass; says how, and how long the server asks to wait."""

    def __init__(self, why: str, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.wait_s = wait_s


def mirrored(url: str, mirror: str | None) -> str:
    """`url` with scheme and host (and a path in front) of `mirror`, by default of $RETAKE_MIRROR."""
    mirror = mirror or os.environ.get("RETAKE_MIRROR")
    if not mirror:
        return url
    there, asked = urlsplit(mirror), urlsplit(url)
    return urlunsplit((there.scheme, there.netloc, there.path.rstrip("/") + asked.path, asked.query, ""))


def fetch(
    sources: Sequence[File],
    target: Path,
    *,
    mirror: str | None = None,
    pause_s: float = PAUSE_S,
    timeout_s: float = TIMEOUT_S,
) -> Path:
    """Bring `target` from the first source that has it; nothing is fetched where it is there and right.

    Raises DownloadError that names every source and what came of it.
    """
    if target.is_file():
        wrong = [what_is_wrong(target, source) for source in sources]
        if None in wrong:
            return target
        LOG.warning("%s: %s; fetched again", target, wrong[0])
    target.parent.mkdir(parents=True, exist_ok=True)
    said = []
    for source in sources:
        url = mirrored(source.url, mirror)
        try:
            _fetch_from(url, source, target, _Pace(pause_s, timeout_s))
        except DownloadError as error:
            said.append(f"{url}: {error}")
            LOG.warning("%s", said[-1])
        else:
            return target
    raise DownloadError("; ".join(said) or f"{target}: no source is known")


@dataclass(frozen=True)
class _Pace:
    pause_s: float
    timeout_s: float


def _fetch_from(url: str, source: File, target: Path, pace: _Pace) -> None:
    """One source, with retries. A part that turns out wrong is thrown away; if it was resumed, once more."""
    part = target.with_name(target.name + ".part")
    resumed = _continued(url, source, part)
    while True:
        resumed |= _receive_all(url, source, part, pace)
        wrong = what_is_wrong(part, source)
        if wrong is None:
            part.replace(target)
            _note_of(part).unlink(missing_ok=True)
            return
        part.unlink()
        _note_of(part).unlink(missing_ok=True)
        if not resumed:
            raise DownloadError(wrong)
        LOG.warning("%s: %s after a resumed download; started again", url, wrong)
        resumed = False


def _receive_all(url: str, source: File, part: Path, pace: _Pace) -> bool:
    """Receive until the body is whole; returns whether it came in more than one answer.

    Raises DownloadError after ATTEMPTS in a row that brought the part no further.
    """
    failures, reached = 0, -1
    while True:
        try:
            _receive(url, source, part, pace.timeout_s)
        except _PassingError as error:
            size = part.stat().st_size if part.exists() else 0
            failures = 0 if size > reached >= 0 else failures + 1
            reached = max(reached, size)
            if failures >= ATTEMPTS:
                raise DownloadError(f"{error} ({failures} attempts)") from None
            wait_s = max(error.wait_s, pace.pause_s * 2 ** max(failures - 1, 0))
            LOG.warning("%s: %s at byte %d; again in %.1f s", url, error, size, wait_s)
            time.sleep(wait_s)
        else:
            return reached > 0


def _receive(url: str, source: File, part: Path, timeout_s: float) -> None:
    """One request, from where the part ends. Raises _PassingError or DownloadError."""
    have = part.stat().st_size if _continued(url, source, part) else 0
    headers = {"User-Agent": "retake", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator := _note(part).get("validator"):
            headers["If-Range"] = validator
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=timeout_s
        ) as answer:
            total = _total(answer, have if answer.status == 206 else 0, source)
            start = have if answer.status == 206 else 0  # 200: the server ignores Range, or the file changed
            _refuse_page(answer, source)
            _note_of(part).write_text(
                json.dumps({"url": url, "validator": _validator(answer)}), encoding="utf-8"
            )
            _copy(answer, part, start=start, total=total, source=source)
    except urllib.error.HTTPError as error:
        with error:
            _explain(error, part, have)
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ssl.SSLError,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise _PassingError(f"no connection ({getattr(error, 'reason', None) or error!r})") from None


def _explain(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    """Turn a refusal into _PassingError or DownloadError; 416 at the file's very end is none."""
    if error.code == 416:
        total = re.search(r"/(\d+)$", error.headers.get("Content-Range", ""))
        if total and int(total[1]) == have:
            return
        part.unlink(missing_ok=True)
        raise _PassingError("the part is longer than the server's file") from None
    why = f"{error.code} {error.reason}"
    if error.code in (408, 425, 429) or error.code >= 500:
        asked = error.headers.get("Retry-After", "")
        raise _PassingError(why, min(float(asked), 60.0) if asked.isdigit() else 0.0) from None
    if error.code in (401, 403):
        why += " (the server wants a login, or a form to be signed)"
    raise DownloadError(why) from None


def _total(answer: http.client.HTTPResponse, start: int, source: File) -> int | None:
    """The whole file's size by the answer's headers; None where they do not say."""
    if answer.status == 206:
        said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not said or int(said[1]) != start:
            raise DownloadError(f"asked from byte {start}, answered {answer.headers.get('Content-Range')!r}")
        total = int(said[2]) if said[2] != "*" else None
    else:
        length = answer.headers.get("Content-Length")
        total = int(length) if length is not None else None
    if source.size is not None and total is not None and total != source.size:
        raise DownloadError(f"has {total:,} bytes, the card says {source.size:,}")
    return total if total is not None else source.size


def _copy(
    answer: http.client.HTTPResponse, part: Path, *, start: int, total: int | None, source: File
) -> None:
    """Append the body to the part from byte `start`; a body shorter than promised raises _PassingError."""
    size = start
    slow_log = 0.5 if sys.stderr.isatty() else 10.0
    with (
        part.open("r+b" if start else "wb") as out,
        tqdm(
            total=total,
            initial=start,
            unit="B",
            unit_scale=True,
            desc=part.stem,
            mininterval=slow_log,
            file=sys.stderr,
        ) as bar,
    ):
        out.seek(start)
        out.truncate()
        while block := answer.read(BLOCK):
            if size == 0:
                _refuse_head(block[:512], source)
            out.write(block)
            size += len(block)
            bar.update(len(block))
    if total is not None and size != total:
        raise _PassingError(f"the connection ended after {size:,} of {total:,} bytes")


def _refuse_page(answer: http.client.HTTPResponse, source: File) -> None:
    kind = answer.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml") and not _wants_page(source):
        raise DownloadError("answers with an HTML page, not the file (a login, a notice, or a moved address)")


def _refuse_head(head: bytes, source: File) -> None:
    """Raises DownloadError where the first bytes cannot be those of the file."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")) and not _wants_page(source):
        raise DownloadError("answers with an HTML page, not the file (a login, a notice, or a moved address)")
    if start.startswith(b"version https://git-lfs"):
        raise DownloadError("answers with a Git-LFS pointer, not the file")
    if source.unpack != "none" and not starts_like(source.unpack, head):
        raise DownloadError(f"is no {source.unpack} archive: it starts with {head[:8]!r}")


def _wants_page(source: File) -> bool:
    return urlsplit(source.url).path.endswith((".html", ".htm"))


def _validator(answer: http.client.HTTPResponse) -> str | None:
    """What says that a later answer is of the same bytes: a strong ETag, else the date of the last change."""
    tag = answer.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _note_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _note(part: Path) -> dict[str, str | None]:
    try:
        return json.loads(_note_of(part).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _continued(url: str, source: File, part: Path) -> bool:
    """Whether the part can be resumed: same address, and a validator or a digest that would tell a mix."""
    note = _note(part)
    checkable = note.get("validator") or source.sha256 or source.md5
    return part.exists() and part.stat().st_size > 0 and note.get("url") == url and bool(checkable)


def what_is_wrong(file: Path, source: File) -> str | None:
    """Why `file` is not what the card describes; None where it is."""
    size = file.stat().st_size
    if source.size is not None and size != source.size:
        return f"has {size:,} bytes, the card says {source.size:,}"
    for name in ("sha256", "md5"):
        if expected := getattr(source, name):
            with file.open("rb") as opened:
                found = hashlib.file_digest(opened, name).hexdigest()
            if found != expected:
                return f"{name} is {found}, the card says {expected}"
    if size == 0 and source.size != 0:
        return "is empty"
    with file.open("rb") as opened:
        try:
            _refuse_head(opened.read(512), source)
        except DownloadError as error:
            return str(error)
    return None
