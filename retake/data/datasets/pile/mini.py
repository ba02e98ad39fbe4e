"""A mini Pile: texts in the mini world's language, so that a small language model knows it.

Captions of clips and of pictures, what is said over films, texts beside pictures. Behind every text stands a clip as
training may show it: no text speaks of a combination that the world holds out for tests. The training texts are
compressed as in the release.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from retake.data.mini_release import FACT, MiniPlan
from retake.miniworld import World, alt_text, captions, draw, narrate, still, still_captions

SPLITS = ("train", "val")
OPTIONS = {"parts": 2}  # files of the training texts


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write the texts; nothing is true of them."""
    (root / "train").mkdir()
    parts = plan.options["parts"]
    for split in SPLITS:
        lines = [_line(world, plan, split, index) for index in range(plan.splits[split])]
        files = (
            [f"train/{part:02d}.jsonl.zst" for part in range(parts)]
            if split == "train"
            else ["val.jsonl.zst"]
        )
        for number, name in enumerate(files):
            with pa.CompressedOutputStream(str(root / name), "zstd") as file:
                file.write("".join(lines[number :: len(files)]).encode("utf-8"))
    return pd.DataFrame(columns=FACT)


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:  # noqa: ARG001
    """A release of texts has none."""
    return []


def _line(world: World, plan: MiniPlan, split: str, index: int) -> str:
    rng = draw(world.seed, plan.release, split, index, "text")
    kind, made = KINDS[int(rng.choice(len(KINDS), p=OFTEN))]
    text = made(world, plan.release, split, index, rng)
    return json.dumps({"text": text, "meta": {"pile_set_name": kind}}) + "\n"


def _captions(world: World, release: str, split: str, index: int, rng: np.random.Generator) -> str:
    return captions(world.clip(split, index, release), 1, rng)[0]


def _pictures(world: World, release: str, split: str, index: int, rng: np.random.Generator) -> str:
    return still_captions(still(world, (split, index, release), 0.12, 0.04), 1, rng)[0]


def _pages(world: World, release: str, split: str, index: int, rng: np.random.Generator) -> str:
    return alt_text(still(world, (split, index, release), 0.12, 0.04) if rng.random() < 0.7 else None, rng)


def _talk(world: World, release: str, split: str, index: int, rng: np.random.Generator) -> str:
    """One paragraph, mostly about what is shown."""
    clip = world.clip(split, index, release)
    other = world.clip(split, index, f"{release} talk")
    said = narrate([(clip, 0.0, 9.5)], [other], (0.15, 0.3, 0.3), rng)
    return " ".join(one.text for one in said)


KINDS: list[tuple[str, Callable[[World, str, str, int, np.random.Generator], str]]] = [
    ("Captions of clips", _captions),
    ("Captions of pictures", _pictures),
    ("Pages", _pages),
    ("Talk", _talk),
]
OFTEN = (0.4, 0.25, 0.1, 0.25)
