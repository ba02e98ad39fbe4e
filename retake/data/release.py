"""What a release consists of: walk its folder, write the manifests, keep them true to the disk.

`index_release` writes one shard's manifest (a job), `refresh` compares all manifests of a release with the
disk before each planning. Planning waits for it, so it looks at names, sizes and times first, reads only what
moved, and imports neither pandas nor pydantic until something did.
"""

import json
import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from retake.schema.manifest import Entry, Manifest, entry_of
from retake.schema.shards import shard_name, shard_of

if TYPE_CHECKING:  # pydantic is not loaded to find that nothing changed
    from retake.schema.card import Card, Media

LOG = logging.getLogger(__name__)
CARDS = Path(__file__).parent / "datasets"
MAX_FILES = 20_000  # a larger release is not watched
MAX_UNSEEN = 2_000  # files hashed at a planning that has no cache yet
OURS = (".part", ".part.json")  # a download under way


def files_under(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """(path relative to root with slashes, stat) of each file, names sorted, one folder in memory at a time.

    Links are followed, once per folder; what starts with a dot and downloads under way are left out.
    """
    yield from _walk(Path(root), "", set())


def _walk(folder: Path, prefix: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, os.stat_result]]:
    own = folder.stat()
    if (own.st_dev, own.st_ino) in seen:
        return
    seen.add((own.st_dev, own.st_ino))
    with os.scandir(folder) as entries:
        listed = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    for entry in listed:
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", seen)
        elif entry.is_file() and not entry.name.endswith(OURS):
            yield prefix + entry.name, entry.stat()


@cache
def _pattern(glob: str) -> re.Pattern[str]:
    """A glob as a regular expression: `**/` any folders, `*` and `?` within a name."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob)
    meaning = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts) + r"\Z")


def matches(path: str, glob: str) -> bool:
    return _pattern(glob).match(path) is not None


def video_id_of(path: str, media: "Media") -> str | None:
    """The video that the file `path` (relative to the root) is; None where it is no medium of the release."""
    for glob in [media.glob] if isinstance(media.glob, str) else media.glob:
        if not matches(path, glob):
            continue
        if media.suffixes and PurePosixPath(path).suffix.lower() not in media.suffixes:
            continue
        if media.id == "stem":
            return PurePosixPath(path).stem
        fixed = glob[: re.search(r"[*?]|$", glob).start()].rpartition("/")  # type: ignore[union-attr]
        return path.removeprefix("".join(fixed[:2]))
    return None


def media_files(root: Path, media: "Media") -> Iterator[tuple[str, str]]:
    """(path relative to root, video_id) of each video or picture of the release."""
    for path, _ in files_under(root):
        if (video_id := video_id_of(path, media)) is not None:
            yield path, video_id


def other_files(root: Path, media: "Media | None") -> list[str]:
    """Paths of the files that are no media: annotations and archives."""
    return [path for path, _ in files_under(root) if media is None or video_id_of(path, media) is None]


def card_of(release: str) -> "Card":
    """The card of the data set that the release is named after."""
    from retake.schema.card import read_card

    return read_card(CARDS / release / "card.yaml")


def manifest_of(release: str, root: Path, files: Iterable[tuple[str, str | None]]) -> Manifest:
    """Hash `files` (path relative to root, video_id). Raises ValueError where two are one video."""
    root, found = Path(root), []
    owner: dict[str, str] = {}
    for path, video_id in files:
        if video_id is not None and owner.setdefault(video_id, path) != path:
            raise ValueError(_twice(root, owner[video_id], path, video_id))
        found.append(entry_of(root, root / path, video_id))
    return Manifest(release, root.as_posix(), found)


def _twice(root: Path, one: str, other: str, video_id: str) -> str:
    return f"{root}: {one} and {other} are both video {video_id!r}; expected one file a video"


def index_release(*, release: str, root: Path, shard: str, num_shards: int, manifest_out: Path) -> None:
    """Write the manifest of the media that belong to `shard`. Raises ValueError where two are one video."""
    media = card_of(release).media
    if media is None:
        raise ValueError(
            f"{CARDS.name}/{release}/card.yaml: media: missing; expected a glob of the release's videos"
        )
    mine = ((path, v) for path, v in media_files(root, media) if shard_of(v, num_shards) == shard)
    manifest_of(release, root, mine).write(manifest_out)


def refresh(*, release: str, results: Path, num_shards: int | None = None) -> list[Path]:
    """Bring the release's manifests that exist in step with the disk; returns those that were rewritten.

    A file whose size and time stand in the cache is not read. New and removed media change their shard's
    manifest. `num_shards` is the card's for the scale that `results` is named after, unless given.
    """
    results = Path(results)
    folder = results / "releases" / release
    # what a killed job left half made lies in a folder of a like name
    manifests = {path: Manifest.read(path) for path in sorted(folder.glob("*.json")) if path.is_file()}
    roots = {manifest.root for manifest in manifests.values()}
    if not roots:
        return []
    if len(roots) > 1:
        raise ValueError(f"{folder}: manifests name different folders {sorted(roots)}; delete {folder}")
    root = Path(roots.pop())
    if not root.is_dir():
        return []  # the rule that makes it will say so
    cache_file = Path(".snakemake") / "retake" / results.name / f"{release}.json"
    cached = _read_cache(cache_file)
    if cached.get("too_many"):
        return []
    known = sum(len(manifest.files) for manifest in manifests.values())
    found = list(islice(files_under(root), MAX_FILES + 1)) if known <= MAX_FILES else []
    if known > MAX_FILES or len(found) > MAX_FILES:
        LOG.warning("%s: more than %d files; changes in them are not looked for", root, MAX_FILES)
        _write_cache(cache_file, {"too_many": True})
        return []
    present = {path: [stat.st_size, stat.st_mtime_ns] for path, stat in found}
    media = {entry.path for manifest in manifests.values() for entry in manifest.files if entry.video_id}
    if media and media.isdisjoint(present) and not any(media_files(root, card_of(release).media)):  # type: ignore[arg-type]
        LOG.warning("%s: none of its %d videos is there; what was made from them is kept", root, len(media))
        return []  # a disk that is not mounted, a clone: not a release that was emptied
    watch = _Watch(release, root, manifests, cached, present)
    rewritten = watch.compare(num_shards, results.name)
    if watch.state != cached:
        _write_cache(cache_file, watch.state)
    return rewritten


class _Watch:
    """One comparison of a release's manifests with its folder."""

    def __init__(
        self,
        release: str,
        root: Path,
        manifests: dict[Path, Manifest],
        cached: dict,
        present: dict[str, list[int]],
    ) -> None:
        self.release, self.root, self.manifests, self.present = release, root, manifests, present
        self.known: dict[str, list[int]] = cached.get("files", {})
        self.home = {entry.path: path for path, manifest in manifests.items() for entry in manifest.files}
        ignored = set(cached.get("ignored", []))
        self.new = [path for path in present if path not in self.home and path not in ignored]
        self.state: dict[str, Any] = {}

    def compare(self, num_shards: int | None, scale: str) -> list[Path]:
        changed: dict[Path, dict[str, Entry | None]] = defaultdict(dict)
        for path, home in self.home.items():
            if path not in self.present:
                changed[home][path] = None
        for path in self._moved():
            changed[self.home[path]][path] = None
        for home, paths in changed.items():
            videos = {entry.path: entry.video_id for entry in self.manifests[home].files}
            for path in paths:
                if path in self.present:
                    paths[path] = entry_of(self.root, self.root / path, videos[path])
        if self.new:
            self._place_new(changed, num_shards, scale)
        rewritten = [home for home, paths in changed.items() if self._rewrite(home, paths)]
        tracked = {entry.path for manifest in self.manifests.values() for entry in manifest.files}
        self.state = {
            "files": {path: stamp for path, stamp in self.present.items() if path in tracked},
            "ignored": sorted(set(self.present) - tracked),
        }
        return sorted(rewritten)

    def _moved(self) -> list[str]:
        """Files to read: their stamp differs from the cache's, or no cache has seen them."""
        moved = []
        sizes = {e.path: e.size for manifest in self.manifests.values() for e in manifest.files}
        unseen = [path for path in self.home if path in self.present and path not in self.known]
        for path in self.home:
            if path not in self.present:
                continue
            if path in self.known:
                differs = self.known[path] != self.present[path]
            else:
                differs = len(unseen) <= MAX_UNSEEN or sizes[path] != self.present[path][0]
            if differs:
                moved.append(path)
        return moved

    def _place_new(
        self, changed: dict[Path, dict[str, Entry | None]], num_shards: int | None, scale: str
    ) -> None:
        """Give each new medium to its shard's manifest. Other new files are nobody's."""
        media = card_of(self.release).media
        if media is None:
            return
        num_shards = num_shards or card_of(self.release).shards[scale]  # type: ignore[index]
        homes = {path.stem: path for path in self.manifests}
        if wrong := [name for name in homes if name >= f"shard{shard_name(num_shards)}"]:
            strange = homes[wrong[0]]
            raise ValueError(
                f"{strange}: expected {num_shards} shards; delete {strange.parent} and run again"
            )
        owner = {e.video_id: e.path for manifest in self.manifests.values() for e in manifest.files}
        for path in self.new:
            video_id = video_id_of(path, media)
            if video_id is None or (home := homes.get(f"shard{shard_of(video_id, num_shards)}")) is None:
                continue
            if owner.setdefault(video_id, path) in self.present and owner[video_id] != path:
                raise ValueError(_twice(self.root, owner[video_id], path, video_id))
            changed[home][path] = entry_of(self.root, self.root / path, video_id)

    def _rewrite(self, home: Path, paths: dict[str, Entry | None]) -> bool:
        """Write the manifest anew where its content differs; None stands for a file that is gone."""
        before = self.manifests[home]
        entries = {entry.path: entry for entry in before.files} | paths
        kept = sorted(
            (entry for entry in entries.values() if entry is not None), key=lambda entry: entry.path
        )
        after = Manifest(before.release, before.root, kept)
        self.manifests[home] = after
        if after.text() == before.text():
            return False
        after.write(home)
        LOG.warning("%s: %d files changed, manifest rewritten", home, len(paths))
        return True


def _read_cache(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def _write_cache(path: Path, state: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(state), encoding="utf-8")
    part.replace(path)
