"""Make a release at mini scale: the data set's mini.py writes its official files, of clips of the mini world.

A mini.py has
    SPLITS                                    the names of its splits, in order
    OPTIONS                                   its options and their defaults, beside those of World
    annotate(world, root, plan) -> table      writes the annotation files; returns what is true of each clip
                                              (pandas, or the tables of `fact_tables`: one in memory)
    media(world, root, plan, shard) -> list   writes one shard's media files; returns (path, video_id) of each
and both depend on the plan alone: shards can be made in any order, in parallel, and give the same bytes.
"""

import importlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retake.miniworld import Clip, Fact, World, facts
from retake.schema.manifest import Manifest, entry_of
from retake.schema.shards import shard_names, shard_of

LOG = logging.getLogger(__name__)
WORLD_OPTIONS = {one.name: one.default for one in fields(World) if one.init}
TRUTH = pa.schema(
    [
        ("video_id", pa.string()),
        ("fact", pa.string()),
        ("kind", pa.string()),
        ("value", pa.string()),
        ("words", pa.list_(pa.string())),
        ("start_s", pa.float64()),  # seconds from the start of the video; null: true of it as a whole
        ("end_s", pa.float64()),
    ]
)
AT_ONCE = 4096  # facts
FACT = TRUTH.names[:5]  # columns of what is true of a video as a whole


@dataclass(frozen=True)
class MiniPlan:
    """What a mini release is made from: items per split, and all options, defaults filled in."""

    release: str
    splits: dict[str, int]
    options: dict[str, Any]
    num_shards: int

    def in_shard(self, video_id: str, shard: str) -> bool:
        return shard_of(video_id, self.num_shards) == shard


def make_release(
    *,
    release: str,
    root: Path,
    splits: dict[str, int],
    options: dict[str, Any],
    num_shards: int,
    files_out: Path,
    truth_out: Path,
) -> None:
    """Write a release's annotation files under `root`, their manifest and the truth of its clips (parquet).

    Raises ValueError that names the release and the option on an option or a split that it does not have.
    """
    started = time.perf_counter()
    mini, world, plan = _opened(release, splits, options, num_shards)
    held: list[pd.DataFrame | Iterable[pa.Table]] = []

    def write(folder: Path) -> list[tuple[Path, str | None]]:
        held.append(mini.annotate(world, folder, plan))
        return [(path, None) for path in sorted(folder.rglob("*")) if path.is_file()]

    _placed(Path(root), "annotations", release, write).write(files_out)
    told = held[0]
    with pq.ParquetWriter(truth_out, TRUTH) as writer:
        for table in [_as_truth(told)] if isinstance(told, pd.DataFrame) else told:
            writer.write_table(table)
    LOG.info("%s: annotations of %s in %.1f s", release, plan.splits, time.perf_counter() - started)


def render_videos(
    *,
    release: str,
    root: Path,
    splits: dict[str, int],
    options: dict[str, Any],
    num_shards: int,
    shard: str,
    manifest_out: Path,
) -> None:
    """Write the media files of one shard of a release under `root`, and their manifest.

    Raises ValueError as make_release does, and on a shard that the release does not have.
    """
    started = time.perf_counter()
    mini, world, plan = _opened(release, splits, options, num_shards)
    if shard not in shard_names(num_shards):
        raise ValueError(f"{release}: shard {shard!r}; expected one of {', '.join(shard_names(num_shards))}")
    manifest = _placed(
        Path(root), f"shard{shard}", release, lambda folder: mini.media(world, folder, plan, shard)
    )
    manifest.write(manifest_out)
    seconds = time.perf_counter() - started
    LOG.info("%s: %d files of shard %s in %.1f s", release, len(manifest.files), shard, seconds)


def truth_tables(clips: Iterable[tuple[str, Clip]]) -> Iterator[pa.Table]:
    """The facts of (video_id, clip) pairs, a row a fact."""
    return fact_tables((video_id, fact) for video_id, clip in clips for fact in facts(clip))


def fact_tables(told: Iterable[tuple[str, Fact] | tuple[str, Fact, float, float]]) -> Iterator[pa.Table]:
    """A row a fact: (video_id, fact), true of the video as a whole, or (video_id, fact, start_s, end_s).

    Tables of AT_ONCE facts each, made when they are asked for, as `told` may be.
    """
    rows = (
        (video_id, fact.fact, fact.kind, fact.value, list(fact.words), *(span or (None, None)))
        for video_id, fact, *span in told
    )
    for part in iter(lambda: list(islice(rows, AT_ONCE)), []):
        yield _as_truth(pd.DataFrame(part, columns=TRUTH.names))


def _as_truth(table: pd.DataFrame) -> pa.Table:
    """In TRUTH's columns; one that is left out is null."""
    table = pa.Table.from_pandas(table.reindex(columns=TRUTH.names), schema=TRUTH, preserve_index=False)
    return table.replace_schema_metadata(None)


def write_object(path: Path, members: Mapping[str, str | Iterable[str]]) -> None:
    """A JSON object and a line's end, as json.dumps has it: each member as JSON text, or a list of such texts.

    Goes out piece by piece, a list of texts that are made when they are asked for, too.
    """
    with path.open("w", encoding="utf-8") as file:
        for n, (name, member) in enumerate(members.items()):
            file.write(f"{', ' if n else '{'}{json.dumps(name)}: ")
            if isinstance(member, str):
                file.write(member)
                continue
            file.write("[")
            file.writelines(f", {one}" if k else one for k, one in enumerate(member))
            file.write("]")
        file.write("}\n")


def _opened(
    release: str, splits: dict[str, int], options: dict[str, Any], num_shards: int
) -> tuple[ModuleType, World, MiniPlan]:
    """The data set's mini.py, the world and the plan; options are checked against what both know."""
    mini = importlib.import_module(f"retake.data.datasets.{release}.mini")
    known = {**WORLD_OPTIONS, **mini.OPTIONS}
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"{release}: option {unknown[0]!r}; expected one of {', '.join(sorted(known))}")
    if set(splits) != set(mini.SPLITS):
        raise ValueError(f"{release}: splits {', '.join(splits)}; expected {', '.join(mini.SPLITS)}")
    told = {**known, **options}
    try:
        world = World(**{name: told[name] for name in WORLD_OPTIONS})
    except (ValueError, TypeError) as error:
        raise ValueError(f"{release}: {error}") from None
    return mini, world, MiniPlan(release, dict(splits), told, num_shards)


def _placed(
    root: Path, part: str, release: str, write: Callable[[Path], list[tuple[Path, str | None]]]
) -> Manifest:
    """Let `write` fill a folder in `root`, then move each file to its place: none is ever half there."""
    folder = root / f".{part}.part"
    shutil.rmtree(folder, ignore_errors=True)  # of a job that was killed
    folder.mkdir(parents=True)
    try:
        entries = []
        for path, video_id in write(folder):
            entries.append(entry_of(folder, path, video_id))
            place = root / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.replace(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Manifest(release, str(root), sorted(entries, key=lambda entry: entry.path))
