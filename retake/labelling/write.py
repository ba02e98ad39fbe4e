"""write_pseudolabels: a caption for every chunk of one shard's videos, by a frozen labeller.

Videos are decoded by threads while the labeller generates. Whatever is wrong with a video or with a sentence is a
row of failures.csv; what was labelled stays.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retake.data.array_index import write_failures
from retake.data.frames import Video, videos_of
from retake.data.video import VideoError
from retake.labelling.clips import Clip, ahead, read_clips, square
from retake.labelling.labeller import Captioner, about
from retake.labelling.shown import write_shown
from retake.labelling.state import Batch, State
from retake.labelling.tables import write_labels
from retake.schema.labels import Labeller

Read = tuple[
    Video, list[Clip], str | None, float
]  # a video, its clips, why there are no more, seconds it took
NAME = "labels.jsonl"  # of the state


class Spent:
    """Seconds by what they went into; waiting is for clips that were not decoded yet."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(("decode", "wait", "encode", "generate"), 0.0)

    def on(self, what: str, job: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        made = job()
        self.seconds[what] += time.perf_counter() - begun
        return made


def write_pseudolabels(
    *, weights_module: str, recipe: dict[str, Any], manifest: Path, weights: Path, config: Path,
    tokenizer: Sequence[Path], scratch: Path, metric: Callable[[str, float], None], out: Mapping[str, Path],
    decoders: int = 1,
) -> None:  # fmt: skip
    """Label the videos of a manifest, in the order of their ids.

    recipe     labeller (its name), release, spec (schema.labels.Labeller)
    scratch    where batches are kept until the shard is done; a job that was killed goes on from there
    decoders   threads that decode
    out        table, jsonl, failures, shown: where each goes
    Writes an annotation table (parquet), the same for people (JSON lines), failures.csv, and small pictures of some
    clips for the report (parquet). The seconds of each part go to `metric`. Raises ValueError on weights that do not
    fit, before any video is read.
    """
    spec, name = Labeller.model_validate(recipe["spec"]), recipe["labeller"]
    videos = videos_of(manifest)
    captioner = Captioner(name, weights_module, spec, weights, config, tokenizer)
    state, spent = State(Path(scratch) / NAME), Spent()
    begun, before = time.perf_counter(), len(state.clips)
    for batch, clips in batches(read_videos(videos, spec, state, decoders), spec.at_once, spent):
        encoded = spent.on("encode", partial(captioner.encode, clips)) if clips else None
        rows = spent.on("generate", partial(captioner.say, clips, encoded)) if clips else []
        state.add(batch._replace(clips=rows))
    state.close()
    seconds = time.perf_counter() - begun
    _tell(metric, len(state.clips) - before, seconds, spent)
    path_of = {video_id: path for video_id, path, _ in videos}
    failures = state.failures + [
        (
            row["video_id"],
            path_of[row["video_id"]],
            f"{row['start_s']:g} s to {row['end_s']:g} s: {row['reason']}",
        )
        for row in state.clips
        if "reason" in row
    ]
    write_failures(sorted(failures), out["failures"])
    said = [row for row in state.clips if "caption" in row]
    write_labels(said, recipe["release"], about(name, spec, weights), out["table"], out["jsonl"])
    write_shown(said, {video_id: file for video_id, _, file in videos}, spec.chunk_s, out["shown"])


def read_videos(videos: Sequence[Video], spec: Labeller, state: State, decoders: int) -> Iterator[Read]:
    """The videos that are not done, each with its clips from the first that is not labelled on."""

    def read(video: Video) -> Read:
        begun, clips, reason = time.perf_counter(), [], None
        video_id, _, file = video
        try:
            shrink = partial(square, size=spec.size)
            clips.extend(read_clips(video_id, file, spec.chunk_s, shrink, state.first.get(video_id, 0)))
        except VideoError as error:
            reason = error.reason
        return video, clips, reason, time.perf_counter() - begun

    todo = [video for video in videos if video[0] not in state.videos]
    done = len(videos) - len(todo)
    bar = tqdm(total=len(videos), initial=done, desc="videos", unit="video", file=sys.stderr, mininterval=1.0)
    with bar:
        for made in ahead(todo, read, max(1, decoders)):
            yield made
            bar.update()


def batches(read: Iterator[Read], at_once: int, spent: Spent) -> Iterator[tuple[Batch, list[Clip]]]:
    """Every clip, `at_once` at a time whichever videos they are of; with what is known of the videos by then."""
    clips: list[Clip] = []
    batch = Batch([], [], [])
    while (made := spent.on("wait", partial(next, read, None))) is not None:
        (video_id, path, _), found, reason, seconds = made
        spent.seconds["decode"] += seconds
        clips, ended = clips + found, False
        while len(clips) >= at_once:
            now, clips = clips[:at_once], clips[at_once:]
            ended = not clips  # the video ends with this batch
            yield _ended(batch, video_id, path, reason) if ended else batch, now
            batch = Batch([], [], [])
        batch = batch if ended else _ended(batch, video_id, path, reason)
    if clips or batch.videos:
        yield batch, clips


def _ended(batch: Batch, video_id: str, path: str, reason: str | None) -> Batch:
    failures = batch.failures + ([[video_id, path, reason]] if reason is not None else [])
    return batch._replace(failures=failures, videos=[*batch.videos, video_id])


def _tell(metric: Callable[[str, float], None], clips: int, seconds: float, spent: Spent) -> None:
    metric("label/clips", clips)
    metric("label/clips_per_s", clips / seconds if seconds else 0.0)
    for what, value in spent.seconds.items():
        metric(f"label/{what}_s", value)
