"""Bring a release to its folder: from its sources, or from a folder that the user has.

A release at paper scale is what its card `expects`, wherever that came from: files that lie there already are
taken as they are, the rest is fetched and unpacked, and what cannot be had ends in a message that names the
files and the folder to put them in.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from retake.data.archives import ArchiveError, unpack_once
from retake.data.fetch import PAUSE_S, DownloadError, fetch
from retake.data.release import card_of, files_under, manifest_of, matches, other_files
from retake.schema.card import Card, Expected, File

LOG = logging.getLogger(__name__)


class ReleaseError(RuntimeError):
    """A release that is not complete: what is missing, and what to do about it."""


def download_release(
    *,
    release: str,
    root: Path,
    folder: Path | None,
    files_out: Path,
    tables: Mapping[str, Path] = MappingProxyType({}),
    mirror: str | None = None,
    pause_s: float = PAUSE_S,
) -> None:
    """Make `root` hold the release and write the manifest of its files that are no media to `files_out`.

    folder     where the user has the data: `root` becomes a link to it and nothing is fetched
    tables     CSVs of the user's own videos (access: folder) by key, captions or labels, wherever they lie
    mirror     replaces scheme and host of every source ($RETAKE_MIRROR does too)

    Raises ReleaseError that lists what is missing and where to put it.
    """
    card, root = card_of(release), Path(root)
    if card.access == "folder":
        _link_own(release, root, folder, tables)
    elif folder is not None:
        _link(release, root, Path(folder))
    elif root.is_symlink():
        LOG.warning("%s is a link to %s: taken as it is, nothing is fetched into it", root, root.resolve())
    else:
        root.mkdir(parents=True, exist_ok=True)
        _fetch_missing(release, root, card, partial(fetch, mirror=mirror, pause_s=pause_s))
    if missing := _missing(root, card.expects):
        raise ReleaseError(_message(release, root, card, missing))
    LOG.info("%s is complete", root)
    manifest_of(release, root, ((path, None) for path in other_files(root, card.media))).write(files_out)


def _fetch_missing(release: str, root: Path, card: Card, bring: Callable[[list[File], Path], Path]) -> None:
    """Fetch and unpack the card's files in order, unless all that it expects is there.

    Raises ReleaseError.
    """
    missing = _missing(root, card.expects)
    if card.access != "open":
        if missing:
            raise ReleaseError(_message(release, root, card, missing))
        return
    if card.expects and not missing and not _under_way(root):
        return
    mirrors: dict[str, list[File]] = {}
    for source in card.sources:
        mirrors.setdefault(source.file, []).append(source)
    failed = []
    for name, sources in mirrors.items():
        target, kind = root / name, sources[0].unpack
        try:
            bring(sources, target)
            if kind != "none":
                unpack_once(target, root / sources[0].into, kind=kind, root=root)
        except DownloadError as error:
            failed.append(f"{name}: {error}")
        except ArchiveError as error:
            target.unlink()  # the next run would trust it
            failed.append(f"{name}: {error}")
    missing = _missing(root, card.expects)
    if missing or (failed and not card.expects):
        raise ReleaseError(_message(release, root, card, missing, failed))


def _under_way(root: Path) -> bool:
    """Whether an earlier run was stopped while it fetched or unpacked."""
    return (root / ".unpacking").exists() or any(root.rglob("*.part"))


def _missing(root: Path, expects: Iterable[Expected]) -> list[str]:
    """One line for each thing that is expected and not there; the folder is walked once."""
    expects = list(expects)
    wanted = [[want.path] if isinstance(want.path, str) else want.path for want in expects]
    counts = [dict.fromkeys(globs, 0) for globs in wanted]
    for path, _ in files_under(root):
        for found in counts:
            for glob in found:
                found[glob] += matches(path, glob)
    lines = []
    for want, globs, found in zip(expects, wanted, counts, strict=True):
        if max(found.values()) >= want.at_least:
            continue
        number = (
            ""
            if want.at_least == 1
            else f" (at least {want.at_least:,} files, found {max(found.values()):,})"
        )
        lines.append(" or ".join(globs) + number)
    return lines


def _message(release: str, root: Path, card: Card, missing: list[str], failed: Iterable[str] = ()) -> str:
    """What could not be had, which files are missing, where to put them."""
    why = {
        "open": "could not be fetched whole",
        "form": "is given out after a form is signed, so it cannot be fetched from here",
        "packed": "comes in archives that nothing here opens",
        "dead": "is no longer given out by its makers",
        "folder": "is a folder of your own",
    }[card.access]
    lines = [f"{card.title} ({release}) {why}."]
    lines += [f"  tried    {line}" for line in failed]
    lines += [f"  missing  {line}" for line in missing]
    if asked := {"form": "ask at   ", "packed": "unpack   "}.get(card.access):
        lines += [f"  {asked}{source.url}" for source in card.sources]
    lines += [
        f"Put the missing files under {root}/ with the names above, or name a folder that holds them in",
        f"config.yaml (folders: {{{release}: /path/to/it}}),",
        "and run the same command again: what is there is kept, the rest goes on.",
    ]
    notes = [card.notes] if isinstance(card.notes, str) else card.notes
    return "\n".join([*lines, *(f"  note: {note}" for note in notes)])


def _link(release: str, root: Path, folder: Path) -> None:
    """Make `root` a link to the user's folder. Raises ReleaseError where that cannot be."""
    if not folder.is_dir():
        raise ReleaseError(f"config.yaml: folders.{release}: {folder} is no folder")
    _replace_link(root, folder, f"folders.{release}")


def _replace_link(place: Path, target: Path, key: str) -> None:
    if place.is_symlink():
        place.unlink()
    elif place.is_dir() and not any(place.iterdir()):
        place.rmdir()
    elif place.exists():
        raise ReleaseError(
            f"{place} holds files already, and config.yaml: {key} names {target}; move one of them away"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target.absolute())


def _link_own(release: str, root: Path, folder: Path | None, tables: Mapping[str, Path]) -> None:
    """`root/videos`, `root/captions.csv` or `root/labels.csv` as links to what the user named. Raises ReleaseError."""
    if folder is None:
        raise ReleaseError(
            f"config.yaml: {release}: missing; expected {release}: {{videos: folder, captions: file.csv}}"
        )
    if not Path(folder).is_dir():
        raise ReleaseError(f"config.yaml: {release}.videos: {folder} is no folder")
    for key, path in tables.items():
        if not Path(path).is_file():
            raise ReleaseError(f"config.yaml: {release}.{key}: {path} is no file")
    if root.is_symlink():
        root.unlink()
    root.mkdir(parents=True, exist_ok=True)
    _replace_link(root / "videos", Path(folder), f"{release}.videos")
    for key in ("captions", "labels"):
        table = root / f"{key}.csv"
        if key in tables:
            _replace_link(table, Path(tables[key]), f"{release}.{key}")
        elif table.is_symlink():
            table.unlink()
