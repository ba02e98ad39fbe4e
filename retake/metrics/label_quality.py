"""judge_labels: how often a caption is about its clip, of recognised speech and of a labeller's sentences.

Who judges   the mini world's truth; or people, in a CSV; or nobody, then only lengths are known.
Fits         of the facts that the caption mentions, more are the clip's than are not. A fact is mentioned if one of
             its words stands in the caption; all facts of the release are looked for; a clip's are those that are
             true at some time of it. So a caption that mentions nothing does not fit, nor does one that is as often
             wrong as right.
Better       of a labelled clip and the captions of speech that overlap it most, the one with more facts right, each
             wrong one taken off. Where both are as good, each has half.
Greets       of captions of speech that do not fit, those with a word of greeting or parting; the rest is chit-chat.
Permuted     how often the captions would fit clips of other videos, all of them: what chance gives. The gain over
             it, and what the labeller has over speech, come with a 95% interval over videos drawn anew.
"""

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retake.metrics.facts import WORD
from retake.schema.quality import QualityFile, Row, Spread

GREETINGS = frozenset("welcome subscribe subscribed channel goodbye bye".split())
COLUMNS = ["video_id", "start_s", "end_s", "text_out"]
DRAWS = 2000
OTHERS = 2000  # clips that every caption is held against to see what chance gives, evenly taken from all
DISTINCT_OF = 1_000_000  # captions among which distinct ones are counted, the first of the table
VERDICTS: dict[Row, tuple[str, ...]] = {"asr": ("fits", "greets", "chat"), "pseudo": ("fits", "wrong")}
CLIPS = pa.schema(
    [
        ("row", pa.string()),
        ("video_id", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("caption", pa.string()),
        ("right", pa.int32()),  # facts that it mentions and the clip has
        ("wrong", pa.int32()),  # and has not
        ("verdict", pa.string()),
    ]
)


class Caption(NamedTuple):
    video_id: str
    start_s: float
    end_s: float | None
    text: str


@dataclass(frozen=True)
class Truth:
    """The distinct facts of a release by their words, and which of them each part of a video has."""

    words: list[frozenset[str]]
    spans: dict[str, list[tuple[float | None, float | None, int]]]

    def shown(self, one: Caption) -> set[int]:
        """The facts that are true at some time of the caption's clip."""
        ends = float("inf") if one.end_s is None else one.end_s
        return {
            fact
            for start, end, fact in self.spans.get(one.video_id, ())
            if (start is None or start < ends) and (end is None or end > one.start_s)
        }

    def mentioned(self, text: str) -> set[int]:
        tokens = set(WORD.findall(text.lower()))
        return {number for number, words in enumerate(self.words) if not tokens.isdisjoint(words)}


def read_truth(path: Path) -> Truth:
    number: dict[frozenset[str], int] = {}
    spans: dict[str, list[tuple[float | None, float | None, int]]] = {}
    for row in pq.read_table(path, columns=["video_id", "words", "start_s", "end_s"]).to_pylist():
        fact = number.setdefault(frozenset(row["words"]), len(number))
        spans.setdefault(row["video_id"], []).append((row["start_s"], row["end_s"], fact))
    return Truth(list(number), spans)


def read_captions(path: Path) -> list[Caption]:
    """In the order of videos and time. Raises ValueError on a row without a text."""
    found = []
    for number, row in enumerate(pq.read_table(path, columns=COLUMNS).to_pylist()):
        if row["text_out"] is None:
            raise ValueError(f"{path}: row {number}: video {row['video_id']!r} has no text")
        found.append(Caption(*(row[name] for name in COLUMNS)))
    return sorted(found)


@dataclass(frozen=True)
class Judged:
    """Captions of one row, held against the truth. right, wrong (N,): facts that each mentions rightly, wrongly."""

    captions: list[Caption]
    right: np.ndarray
    wrong: np.ndarray
    chance: np.ndarray  # (N,) share of other videos' clips that each would fit

    @property
    def fits(self) -> np.ndarray:
        return self.right > self.wrong

    def verdicts(self, row: Row) -> list[str]:
        other = "wrong" if row == "pseudo" else None
        return [
            "fits"
            if fits
            else other or ("greets" if GREETINGS & set(WORD.findall(one.text.lower())) else "chat")
            for one, fits in zip(self.captions, self.fits, strict=True)
        ]


def against(truth: Truth, captions: list[Caption]) -> Judged:
    """`captions` held against their own clips and, for chance, against those of other videos."""
    said, shown = (np.zeros((len(captions), len(truth.words)), np.float32) for _ in range(2))
    for n, one in enumerate(captions):
        said[n, list(truth.mentioned(one.text))] = 1
        shown[n, list(truth.shown(one))] = 1
    counts = said.sum(1)
    right = (said * shown).sum(1)
    kept = np.arange(0, len(captions), -(-len(captions) // OTHERS))
    hits = said @ shown[kept].T
    videos = np.array([one.video_id for one in captions])
    other = videos[:, None] != videos[None, kept]
    would = (hits > counts[:, None] - hits) & other
    chance = would.sum(1) / np.maximum(other.sum(1), 1)
    return Judged(captions, right.astype(int), (counts - right).astype(int), chance)


def _by_video(captions: Sequence[Caption], values: np.ndarray) -> dict[str, tuple[float, int]]:
    """video -> (sum, number)."""
    found: dict[str, tuple[float, int]] = {}
    for one, value in zip(captions, values, strict=True):
        total, count = found.get(one.video_id, (0.0, 0))
        found[one.video_id] = (total + float(value), count + 1)
    return found


def spread(sides: Sequence[Mapping[str, tuple[float, int]]], name: str) -> Spread:
    """The mean of the first side, less that of a second one, with its interval over videos drawn with replacement."""
    videos = sorted(set().union(*sides))
    seed = hashlib.sha256(name.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    often = rng.multinomial(len(videos), [1 / len(videos)] * len(videos), size=DRAWS)
    often = np.concatenate([np.ones((1, len(videos)), often.dtype), often])  # as it is, then drawn anew
    means = []
    for side in sides:
        sums, counts = np.array([side.get(video, (0.0, 0)) for video in videos]).T
        with np.errstate(invalid="ignore"):
            means.append((often @ sums) / (often @ counts))
    found = means[0] - (means[1] if len(means) > 1 else 0.0)
    low, high = np.nanquantile(found[1:], [0.025, 0.975])
    return Spread(value=float(found[0]), low=float(low), high=float(high))


def overlapping(clip: Caption, spoken: Sequence[Caption]) -> Caption | None:
    """Of a video's captions of speech the one that overlaps the clip longest, the earlier of two; None if none does."""
    ends = float("inf") if clip.end_s is None else clip.end_s
    lengths = [
        min(ends, float("inf") if one.end_s is None else one.end_s) - max(clip.start_s, one.start_s)
        for one in spoken
    ]
    best = max(range(len(spoken)), key=lambda n: (lengths[n], -n), default=None)
    return spoken[best] if best is not None and lengths[best] > 0 else None


def _better(truth: Truth, clips: Sequence[Caption], asr: Sequence[Caption]) -> np.ndarray:
    """(N,) of labelled clips: 1 where the labeller's sentence is the better one, 0 where speech is, 0.5 a tie."""
    spoken: dict[str, list[Caption]] = {}
    for one in asr:
        spoken.setdefault(one.video_id, []).append(one)
    found = []
    for clip in clips:
        shown, said = truth.shown(clip), overlapping(clip, spoken.get(clip.video_id, ()))
        worth = [
            len(facts & shown) - len(facts - shown)
            for facts in (truth.mentioned(clip.text), truth.mentioned(said.text) if said else set())
        ]
        found.append(0.5 + 0.5 * np.sign(worth[0] - worth[1]))
    return np.array(found)


def lengths(path: Path) -> tuple[dict[str, float], int]:
    """(mean words and share of distinct captions, number of captions) of a table of any size."""
    words = count = 0
    seen: set[bytes] = set()
    for batch in pq.ParquetFile(path).iter_batches(columns=["text_out"]):
        for text in filter(None, batch.column(0).to_pylist()):
            words += len(text.split())
            if count < DISTINCT_OF:
                seen.add(hashlib.blake2b(text.encode(), digest_size=12).digest())
            count += 1
    if not count:
        raise ValueError(f"{path}: no caption")
    return {"label_words": words / count, "label_distinct": len(seen) / min(count, DISTINCT_OF)}, count


def _by_truth(
    truth: Truth, asr: Path, labels: Path, name: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the truth says, as fields of QualityFile; and a row a judged caption."""
    sides: dict[Row, Judged] = {
        "asr": against(truth, read_captions(asr)),
        "pseudo": against(truth, read_captions(labels)),
    }
    better = _better(truth, sides["pseudo"].captions, sides["asr"].captions)
    values: dict[Row, dict[str, float]] = {}
    rows: list[dict[str, Any]] = []
    for row, one in sides.items():
        said = one.verdicts(row)
        share = {f"label_{verdict}": said.count(verdict) / len(said) for verdict in VERDICTS[row]}
        share.pop("label_wrong", None)
        values[row] = share | {"label_permuted": float(one.chance.mean())}
        values[row] |= {
            "label_gain": float((one.fits - one.chance).mean()),
            "label_tied": float((better == 0.5).mean()),
        }
        mine = better.mean() if row == "pseudo" else 1 - better.mean()
        values[row]["label_better"] = float(mine)
        columns = zip(one.captions, one.right.tolist(), one.wrong.tolist(), said, strict=True)
        rows += [
            dict(zip(CLIPS.names, (row, *caption, *counts), strict=True)) for caption, *counts in columns
        ]
    fits = {row: _by_video(one.captions, one.fits) for row, one in sides.items()}
    gains = {
        r: spread([_by_video(one.captions, one.fits - one.chance)], f"{name} {r}") for r, one in sides.items()
    }
    found = {"label_fits": spread([fits["pseudo"], fits["asr"]], name)}
    half = _by_video(sides["pseudo"].captions, 2 * better - 1)
    found["label_better"] = spread([half], f"{name} better")
    clips = {row: len(one.captions) for row, one in sides.items()}
    return {"values": values, "gains": gains, "differences": found, "clips": clips}, rows


def read_judgements(path: Path) -> Iterator[dict[str, str]]:
    """Rows video_id, start_s, end_s, asr (fits, greets or chat), pseudo (fits or wrong), better (asr, pseudo, equal).

    Raises ValueError that names file and line; a clip that stands twice, too.
    """
    header = ["video_id", "start_s", "end_s", *VERDICTS, "better"]
    allowed = {**VERDICTS, "better": (*VERDICTS, "equal")}
    seen: set[tuple[str, str]] = set()
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if reader.fieldnames != header:
            raise ValueError(
                f"{path}: line 1: {','.join(reader.fieldnames or [])!r}; expected {','.join(header)}"
            )
        for line, row in enumerate(reader, 2):
            for name, words in allowed.items():
                if row[name] not in words:
                    raise ValueError(
                        f"{path}: line {line}: {name} {row[name]!r}; expected {', '.join(words)}"
                    )
            times = [row[name] or "" for name in ("start_s", "end_s")]
            if not all(re.fullmatch(r"\d+(\.\d+)?", time) for time in times) or float(times[0]) >= float(
                times[1]
            ):
                raise ValueError(
                    f"{path}: line {line}: {times[0]!r} to {times[1]!r}; expected seconds, end after start"
                )
            if (row["video_id"], times[0]) in seen:
                raise ValueError(
                    f"{path}: line {line}: video {row['video_id']!r} from {times[0]} s stands twice"
                )
            seen.add((row["video_id"], times[0]))
            yield row
    if not seen:
        raise ValueError(f"{path}: no row; expected a clip a row")


def _by_people(path: Path, name: str) -> dict[str, Any]:
    """What people say, as fields of QualityFile."""
    rows = list(read_judgements(path))
    clips = [Caption(row["video_id"], float(row["start_s"]), float(row["end_s"]), "") for row in rows]
    worth = np.array([{"pseudo": 1.0, "equal": 0.5, "asr": 0.0}[row["better"]] for row in rows])
    values: dict[Row, dict[str, float]] = {}
    fits = {}
    for row, verdicts in VERDICTS.items():
        said = [one[row] for one in rows]
        share = {
            f"label_{verdict}": said.count(verdict) / len(said) for verdict in verdicts if verdict != "wrong"
        }
        mine = worth.mean() if row == "pseudo" else 1 - worth.mean()
        values[row] = share | {"label_better": float(mine), "label_tied": float((worth == 0.5).mean())}
        fits[row] = _by_video(clips, np.array([verdict == "fits" for verdict in said]))
    found = {"label_fits": spread([fits["pseudo"], fits["asr"]], name)}
    found["label_better"] = spread([_by_video(clips, 2 * worth - 1)], f"{name} better")
    return {"values": values, "differences": found, "clips": dict.fromkeys(VERDICTS, len(rows))}


def judge_labels(
    *,
    asr: Path,
    labels: Path,
    truth: Path | None,
    judgements: Path | None,
    identity: dict[str, str],
    out: Path,
    clips_out: Path,
) -> QualityFile:
    """Judge the captions that came with a data set (`asr`) and a labeller's (`labels`), both annotation tables.

    Writes a QualityFile to `out`, a row a caption that the truth judged to `clips_out`. identity holds labeller,
    dataset and scale. People's judgements win over the truth. Raises ValueError that names file and row.
    """
    name = f"{identity['labeller']} {identity['dataset']}"
    told, counts = {}, {}
    for row, path in (("asr", asr), ("pseudo", labels)):
        told[row], counts[row] = lengths(path)
    found: dict[str, Any] = {"values": {row: {} for row in VERDICTS}, "clips": counts}
    judge, rows = "nobody", []
    if judgements is not None:
        found, judge = _by_people(judgements, name), "people"
    elif truth is not None:
        (found, rows), judge = _by_truth(read_truth(truth), asr, labels, name), "truth"
    found["values"] = {row: {**values, **told[row]} for row, values in found["values"].items()}
    file = QualityFile.model_validate({**identity, "judged_by": judge, **found})
    out.write_text(file.text(), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(rows, schema=CLIPS), clips_out, compression="zstd")
    return file
