"""Unpack a zip or a tar that a stranger made, without letting it write outside its folder.

An archive is unpacked into a temporary folder beside its place; only when all of it is there its
entries move on. What a kill leaves is therefore a temporary folder, which the next run empties; a mark says
which archive has been unpacked already.
"""

import json
import logging
import lzma
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

KINDS = ("zip", "tar")


class ArchiveError(ValueError):
    """An archive that is broken, or that asks for something an archive must not do."""


def unpack_once(archive: Path, into: Path, *, kind: str, root: Path) -> bool:
    """Unpack `archive` into `into` (both under `root`) unless that was done; returns whether it was done now.

    Raises ArchiveError where the archive is broken or unsafe; then nothing of it is left in `into`.
    """
    mark = root / ".unpacked" / f"{archive.relative_to(root).as_posix().replace('/', '__')}.json"
    found = archive.stat()
    state = {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "into": into.relative_to(root).as_posix()}
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == state:
        return False
    temporary = root / ".unpacking" / archive.name
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        unpack(archive, temporary, kind=kind)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    into.mkdir(parents=True, exist_ok=True)
    _move_all(temporary, into)
    shutil.rmtree(temporary.parent)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(json.dumps(state), encoding="utf-8")
    return True


def unpack(archive: Path, folder: Path, *, kind: str) -> None:
    """Write the archive's files under the empty folder `folder`.

    Raises ArchiveError on a broken archive, and on a member that is no file or folder inside. No link is ever
    made: a hard link becomes a copy, a symbolic link that stays inside is left out and counted in the log.
    """
    if kind not in KINDS:
        raise ArchiveError(f"{archive}: cannot unpack {kind!r}; have {', '.join(KINDS)}")
    try:
        left_out = _unpack_zip(archive, folder) if kind == "zip" else _unpack_tar(archive, folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the archive
        raise ArchiveError(f"{archive}: not a whole {kind} archive ({error})") from None
    if left_out:
        logging.getLogger(__name__).warning("%s: %d symbolic links were left out", archive, left_out)


def _unpack_zip(archive: Path, folder: Path) -> int:
    with zipfile.ZipFile(archive) as opened:
        links = [member for member in opened.infolist() if stat.S_ISLNK(member.external_attr >> 16)]
        for member in opened.infolist():  # names first: an unsafe archive is refused before its first byte
            _check_name(archive, member.filename)
            form = stat.S_IFMT(member.external_attr >> 16)
            if form not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                raise ArchiveError(f"{archive}: {member.filename!r} is a device; refused")
            if member.flag_bits & 0x1:
                raise ArchiveError(f"{archive}: {member.filename!r} is encrypted")
        for member in links:
            _check_link(archive, member.filename, opened.read(member).decode("utf-8", "replace"))
        for member in opened.infolist():
            target = folder / _check_name(archive, member.filename)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif member not in links:
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)  # checks the member's CRC at its end
        return len(links)


def _unpack_tar(archive: Path, folder: Path) -> int:
    left_out, last = 0, b""

    class Header(tarfile.TarInfo):
        """Keeps the last header block: tarfile takes half an archive for a whole one."""

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Header":
            nonlocal last
            last = bytes(buf)
            return super().frombuf(buf, encoding, errors)

    # a stream, read once from front to end
    with tarfile.open(archive, "r|*", encoding="utf-8", tarinfo=Header) as opened:
        for member in opened:
            opened.members = []  # type: ignore[attr-defined]  # it would keep every header
            target = folder / _check_name(archive, member.name)
            if member.issym():
                _check_link(archive, member.name, member.linkname)
                left_out += 1
            elif member.islnk():  # names a file that came earlier
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / _check_name(archive, member.linkname), target)
            elif member.isdir():
                target.mkdir(parents=True, exist_ok=True)
            elif member.isreg():  # not `extract`: before 3.11.4 it knows no filter
                target.parent.mkdir(parents=True, exist_ok=True)
                with opened.extractfile(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
            else:
                raise ArchiveError(f"{archive}: {member.name!r} is a device; refused")
    if last != bytes(tarfile.BLOCKSIZE):
        raise ArchiveError(f"{archive}: not a whole tar archive (it ends without its end mark)")
    return left_out


def _check_name(archive: Path, name: str) -> PurePosixPath:
    """The member's path inside the folder. Raises ArchiveError where it would lie elsewhere."""
    path = PurePosixPath(name.replace("\\", "/"))
    drive = len(name) > 1 and name[1] == ":"
    if path.is_absolute() or ".." in path.parts or drive or "\x00" in name:
        raise ArchiveError(f"{archive}: {name!r} would be written outside its folder; nothing of it was kept")
    return path


def _check_link(archive: Path, name: str, target: str) -> None:
    """Raises ArchiveError where a symbolic link `name` -> `target` leaves the folder."""
    inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or inside == ".." or inside.startswith("../"):
        raise ArchiveError(
            f"{archive}: link {name!r} points outside its folder, to {target!r}; nothing was kept"
        )


def _move_all(source: Path, target: Path) -> None:
    """Move the entries of `source` into `target`; a folder that is there is filled, a file replaced."""
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir() and not place.is_symlink():
            _move_all(entry, place)
        else:
            if place.is_symlink():
                place.unlink()
            entry.replace(place)


def starts_like(kind: str, head: bytes) -> bool:
    """Whether `head`, a file's first 512 bytes, can begin an archive of this kind."""
    if kind == "zip":
        return head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
    packed = head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"))
    return packed or head[257:262] == b"ustar" or _old_tar(head)


def _old_tar(head: bytes) -> bool:
    """A header without the word ustar (pre-POSIX): its checksum decides."""
    if len(head) < 512:
        return False
    said = head[148:156].strip(b" \x00")
    return said.isdigit() and int(said, 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])
