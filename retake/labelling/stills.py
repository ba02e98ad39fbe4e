"""caption_stills: pictures chosen by words of their references, and what a labeller says of each, several times."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.frames import videos_of
from retake.data.video import read_frames
from retake.labelling.clips import Clip, square, thumbnail
from retake.labelling.labeller import Captioner
from retake.schema.labels import Labeller

HEIGHT = 192  # px at most of the pictures that are kept
WORD = re.compile(r"[^\W_]+")
SCHEMA = pa.schema(
    [
        ("label", pa.string()),
        ("video_id", pa.string()),
        ("captions", pa.list_(pa.string())),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("rgb", pa.binary()),  # (height, width, 3) uint8
    ]
)


def caption_stills(
    *, weights_module: str, recipe: Mapping[str, Any], annotations: Path, manifests: Sequence[Path], weights: Path,
    config: Path, tokenizer: Sequence[Path], out: Path,
) -> None:  # fmt: skip
    """Write a row a group: its picture, and as many sampled sentences as are asked for (parquet, SCHEMA).

    recipe: `labeller` (its name), `spec` (schema.labels.Labeller), `stills` (schema.figures.StillsFigure).
    The n-th sentence is sampled with the labeller's seed + n - 1; one that is no caption says why in brackets.
    Raises ValueError where no picture of a group is there.
    """
    spec, asked = Labeller.model_validate(recipe["spec"]), recipe["stills"]
    files = {video_id: file for manifest in manifests for video_id, _, file in videos_of(manifest)}
    table = pd.read_parquet(annotations, columns=["split", "video_id", "text_out"])
    chosen = picked(str(annotations), table[table["split"] == asked["split"]], asked["groups"], set(files))
    pictures = [read_frames(files[video_id], _first).rgb[0] for video_id in chosen]
    clips = [
        Clip(v, 0, 0.0, 0.0, 0.0, square(rgb, spec.size)) for v, rgb in zip(chosen, pictures, strict=True)
    ]
    captioner = Captioner(recipe["labeller"], weights_module, spec, weights, config, tokenizer)
    encoded, said = captioner.encode(clips), []
    for number in range(asked["samples"]):
        captioner.spec = spec.model_copy(update={"seed": spec.seed + number})
        said.append([row.get("caption") or f"({row['reason']})" for row in captioner.say(clips, encoded)])
    rows = []
    for number, (group, video_id, rgb) in enumerate(zip(asked["groups"], chosen, pictures, strict=True)):
        small = thumbnail(rgb, HEIGHT)
        shown = {"height": len(small), "width": small.shape[1], "rgb": small.tobytes()}
        captions = [sentences[number] for sentences in said]
        rows.append({"label": group["label"], "video_id": video_id, "captions": captions} | shown)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out, compression="zstd")


def _first(times_s: np.ndarray) -> np.ndarray:  # noqa: ARG001  whichever times there are
    return np.array([0])


def picked(
    where: str, table: pd.DataFrame, groups: Sequence[Mapping[str, Any]], there: set[str]
) -> list[str]:
    """The picture of each group, no picture twice: of those whose references fit, the one of which most do.

    A reference fits that has one of the group's words, one of its `also`, if there are any, and none of its `never`.
    One of several such pictures is the first by name. Raises ValueError where a group has none.
    """
    tokens = [set(WORD.findall(str(text).lower())) for text in table["text_out"]]
    found: list[str] = []
    for group in groups:
        words, also, never = (set(group[name]) for name in ("words", "also", "never"))
        fits: dict[str, int] = {}
        barred = set(found)
        for video_id, said in zip(table["video_id"], tokens, strict=True):
            if said & never:
                barred.add(video_id)
            if said & words and (not also or said & also):
                fits[video_id] = fits.get(video_id, 0) + 1
        left = sorted((-count, video_id) for video_id, count in fits.items() if video_id in there - barred)
        if not left:
            raise ValueError(
                f"{where}: no picture is described as {group['label']!r} ({', '.join(group['words'])})"
            )
        found.append(left[0][1])
    return found
