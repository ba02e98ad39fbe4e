"""A mini LAION: frames of clips of the mini world beside texts as they stand on the web, as img2dataset writes them.

A share of the texts says nothing about its picture. Now and then a download failed, or a text is in another language.
No picture shows a combination that the world's training clips hold out.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.mini_release import MiniPlan, fact_tables
from retake.miniworld import Still, World, alt_text, draw, still, write_jpeg

SPLITS = ("train",)
OPTIONS = {
    "size_px": [80, 64],
    "noise": 0.3,  # share of the texts that say nothing about their picture
    "failed": 0.04,  # of the addresses; they come beside those that are asked for
    "foreign": 0.04,  # of the pictures; they come beside those that are asked for, too
    "standing": 0.12,
    "fooling": 0.04,
    "speech": 0.0,
    "outcomes": 0.0,
}
PER_SHARD = 250
FOREIGN = {
    "de": "bunte tasse, kostenloser versand",
    "fr": "affiche classique en vente",
    "es": "taza en oferta",
}


class Found(NamedTuple):
    """One address of the table; a download that failed has no picture."""

    key: str
    one: Still | None
    text: str
    language: str


def annotate(world: World, root: Path, plan: MiniPlan) -> Iterator[pa.Table]:
    """Write the table of addresses, each shard's table and what lies beside each picture."""
    listed = list(_found(world, plan))
    pq.write_table(
        pa.Table.from_pylist([_address(world, one) for one in listed]), root / "part-00000.parquet"
    )
    for shard in sorted({one.key[:5] for one in listed}):
        (root / shard).mkdir()
        rows = [_download(world, one) for one in listed if one.key.startswith(shard)]
        pq.write_table(pa.Table.from_pylist(rows), root / f"{shard}.parquet")
        for row in rows:
            if row["status"] == "success":
                beside = root / shard / row["key"]
                beside.with_suffix(".txt").write_text(row["caption"], encoding="utf-8")
                beside.with_suffix(".json").write_text(json.dumps(row, indent=4), encoding="utf-8")
    return fact_tables((found.key, fact) for found in listed if found.one for fact in found.one.facts())


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the pictures of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for key, one, *_ in _found(world, plan):
        if one is not None and plan.in_shard(key, shard):
            path = root / key[:5] / f"{key}.jpg"
            path.parent.mkdir(exist_ok=True)
            write_jpeg(one.shown(), path)
            written.append((path, key))
    return written


def _found(world: World, plan: MiniPlan) -> Iterator[Found]:
    """As many English pictures as the split asks for, and what comes beside them."""
    shares = float(plan.options["standing"]), float(plan.options["fooling"])
    number = 0
    for index in range(plan.splits["train"]):
        rng = draw(world.seed, plan.release, index, "found")
        one = still(world, ("train", index, plan.release), *shares)
        noisy = rng.random() < plan.options["noise"]
        wanted = Found("", one, alt_text(None if noisy else one, rng), "en")
        beside = [wanted]
        if rng.random() < plan.options["failed"]:
            beside.append(Found("", None, alt_text(None, rng), "en"))
        if rng.random() < plan.options["foreign"]:
            language = str(rng.choice(sorted(FOREIGN)))
            other = still(world, ("train others", index, plan.release), *shares)
            beside.append(Found("", other, FOREIGN[language], language))
        for found in beside:
            yield found._replace(key=f"{number // PER_SHARD:05d}{number % PER_SHARD:04d}")
            number += 1


def _address(world: World, found: Found) -> dict[str, Any]:
    """A row of the published table."""
    rng = draw(world.seed, found.key, "address")
    similarity, unsafe, mark, beauty = (float(np.round(value, 4)) for value in rng.random(4))
    return {
        "URL": f"https://images.example.org/{int(rng.integers(10**9)):09d}.jpg",
        "TEXT": found.text,
        "WIDTH": int(rng.integers(200, 2000)),
        "HEIGHT": int(rng.integers(200, 2000)),
        "similarity": 0.28 + 0.1 * similarity,
        "punsafe": 0.1 * unsafe,
        "pwatermark": mark,
        "AESTHETIC_SCORE": 4 + 3 * beauty,
        "LANGUAGE": found.language,
        "hash": int(rng.integers(2**62)),
    }


def _download(world: World, found: Found) -> dict[str, Any]:
    """A row of a shard's table."""
    address, one = _address(world, found), found.one
    sides = (
        {"width": one.clip.width_px, "height": one.clip.height_px} if one else {"width": None, "height": None}
    )
    return {
        "url": address["URL"],
        "caption": found.text,
        "LANGUAGE": found.language,
        "similarity": address["similarity"],
        "key": found.key,
        "status": "success" if one else "failed_to_download",
        "error_message": None if one else "<urlopen error timed out>",
        **sides,
        **{f"original_{name}": value for name, value in sides.items()},
        "exif": "{}",
        "sha256": sha256(found.key.encode()).hexdigest() if one else None,
    }
