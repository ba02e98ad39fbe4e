"""A shard's labels: the same bytes however it was cut into batches or killed, and nothing lost to bad files."""

import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from retake.data.array_index import read_failures
from retake.labelling import labeller, write
from retake.labelling.index import index_pseudolabels
from retake.labelling.write import write_pseudolabels
from retake.schema.annotations import checked
from retake.schema.manifest import Manifest, entry_of
from tests.unit.data import clips as made
from tests.unit.labelling.toy import write_toy

SPEC = {
    "weights": "toy", "chunk_s": 2.0, "size": 16, "prompt": "a picture of", "top_p": 0.9, "max_length": 9,
    "min_length": 5, "repetition_penalty": 1.1, "at_once": 3,
}  # fmt: skip
OUT = {
    "table": "labels.parquet", "jsonl": "labels.jsonl", "failures": "failures.csv",
    "shown": "shown.parquet",
}  # fmt: skip
SECONDS = {
    "a": 9.0,
    "b": 3.0,
    "c": 6.5,
    "d": 1.0,
    "e": 8.0,
    "g": 4.0,
}  # of the videos; d is shorter than a chunk


class Shard:
    """Videos, a labeller and the outputs of one run or of several."""

    def __init__(self, folder: Path, fault: str | None = None):
        self.folder = folder
        videos = folder / "videos"
        videos.mkdir(parents=True)
        for n, (name, seconds) in enumerate(SECONDS.items()):
            frames = made.pictures(round(10 * seconds), height=24, width=32, seed=n)
            made.write(videos / f"{name}.mp4", frames, options={"g": "7"})
        (videos / "f.mp4").write_bytes(b"")
        entries = [entry_of(videos, path, path.stem) for path in sorted(videos.iterdir())]
        Manifest("clips", str(videos), entries).write(folder / "shard000.json")
        self.given = write_toy(folder / "weights", fault)

    def run(self, out: str, scratch: str | None = None, decoders: int = 1, **changes) -> Path:
        target = self.folder / out
        target.mkdir(exist_ok=True)
        recipe = {"labeller": "speaker", "release": "clips", "spec": SPEC | changes}
        self.metrics: dict[str, float] = {}
        write_pseudolabels(
            recipe=recipe, manifest=self.folder / "shard000.json", decoders=decoders,
            scratch=self.folder / (scratch or f"scratch_{out}"), metric=self.metrics.__setitem__,
            out={key: target / name for key, name in OUT.items()}, **self.given,
        )  # fmt: skip
        return target


@pytest.fixture
def shard(tmp_path):
    return Shard(tmp_path)


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in OUT.values()}


def test_every_chunk_has_a_row_in_the_contracts_schema(shard):
    out = shard.run("out")
    table = pd.read_parquet(out / "labels.parquet")
    assert list(checked(table)["ref_id"]) == list(table["ref_id"])
    expected = [
        (name, 2.0 * k, 2.0 * k + 2.0) for name, seconds in SECONDS.items() for k in range(int(seconds // 2))
    ]
    assert list(zip(table["video_id"], table["start_s"], table["end_s"], strict=True)) == expected
    assert set(table["dataset"]) == {"clips"}
    assert set(table["split"]) == {"train"}
    assert set(table["task"]) == {"caption"}
    assert table["item_id"].is_unique
    assert table["text_out"].str.strip().ne("").all()
    (origin,) = set(table["origin"])
    about = json.loads(origin)
    digest = sha256((shard.folder / "weights/model.safetensors").read_bytes()).hexdigest()
    assert about["model"] == {"labeller": "speaker", "weights": "toy", "sha256": digest}
    asked = {"chunk_s": 2.0, "size": 16, "top_p": 0.9, "repetition_penalty": 1.1, "prompt": "a picture of"}
    assert asked.items() <= about["sampling"].items()
    lines = [json.loads(line) for line in (out / "labels.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [
        ["video_id", "start_s", "end_s", "caption", "model", "sampling"]
    ] * len(expected)
    assert [line["caption"] for line in lines] == table["text_out"].tolist()
    assert not any(line["caption"].startswith("a picture of") for line in lines)


def test_videos_that_cannot_be_read_are_failures_and_cost_nothing(shard):
    failures = read_failures(shard.run("out") / "failures.csv")
    assert failures == [
        ("d", "d.mp4", "shorter than one chunk of 2 s"),
        ("f", "f.mp4", "empty file (zero bytes)"),
    ]


def test_batches_and_threads_change_no_label(shard):
    outs = [content(shard.run(f"out{n}", at_once=n)) for n in (1, 4, 100)]
    outs.append(content(shard.run("out_threads", decoders=3)))
    assert outs[1:] == outs[:-1]


def test_a_clip_has_dice_of_its_own(shard):
    spec = labeller.Labeller.model_validate(SPEC)
    assert spec.seed == 1
    clip = write.Clip("a", 2, 4.0, 6.0, 5.0, None)
    seeds = {
        labeller.seed_of(seed, clip._replace(video_id=video, start_s=start))
        for seed in (1, 2) for video in ("a", "b") for start in (4.0, 6.0)
    }  # fmt: skip
    assert len(seeds) == 8
    assert labeller.seed_of(1, clip._replace(number=9, end_s=9.0)) == labeller.seed_of(1, clip)
    first, second = (content(shard.run(f"seed{n}", seed=n))["labels.parquet"] for n in (1, 2))
    assert first != second


@pytest.mark.parametrize("kill_at", [1, 2, 3])
def test_a_killed_shard_loses_one_batch_and_ends_with_the_same_bytes(kill_at, shard, monkeypatch):
    whole = content(shard.run("whole"))
    say, asked = labeller.Captioner.say, []

    def dies(self, clips, encoded):
        asked.append(len(clips))
        if len(asked) == kill_at:
            raise KeyboardInterrupt
        return say(self, clips, encoded)

    monkeypatch.setattr(labeller.Captioner, "say", dies)
    with pytest.raises(KeyboardInterrupt):
        shard.run("out", "scratch")
    state = shard.folder / "scratch" / "labels.jsonl"
    assert len(state.read_text().splitlines()) == kill_at - 1
    with state.open("ab") as file:  # what a kill in the middle of a write leaves
        file.write(b'{"clips": [{"video_id": "a", "num')
    asked.clear()
    monkeypatch.setattr(labeller.Captioner, "say", lambda s, c, e: asked.append(len(c)) or say(s, c, e))
    assert content(shard.run("out", "scratch")) == whole
    assert sum(asked) == sum(int(seconds // 2) for seconds in SECONDS.values()) - 3 * (kill_at - 1)
    assert content(shard.run("again", "scratch")) == whole  # the torn line is gone


def test_a_finished_state_is_asked_nothing_again(shard, monkeypatch):
    whole = content(shard.run("out", "scratch"))
    monkeypatch.setattr(labeller.Captioner, "say", lambda *_: pytest.fail("asked again"))
    monkeypatch.setattr(write, "read_clips", lambda *_: pytest.fail("read again"))
    assert content(shard.run("out2", "scratch")) == whole


def test_a_state_that_is_something_else_is_refused(shard):
    scratch = shard.folder / "scratch"
    scratch.mkdir()
    (scratch / "labels.jsonl").write_text('{"step": 3}\n')
    with pytest.raises(ValueError, match=r"labels.jsonl: line 1: no batch of labels"):
        shard.run("out", "scratch")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("", "the labeller said nothing"),
        ("a picture of", "the labeller said the prompt alone"),
        ("a red red red red wall", "the labeller said 'red' 4 times in a row"),
    ],
)
def test_what_is_no_caption_is_a_failure_with_its_clip(fault, reason, tmp_path):
    shard = Shard(tmp_path, fault)
    out = shard.run("out")
    captions = pd.read_parquet(out / "labels.parquet")["text_out"]
    failed = [row for row in read_failures(out / "failures.csv") if row[0] not in "df"]
    assert failed
    assert all(row[2].endswith(f": {reason}") for row in failed)
    assert len(captions) + len(failed) == sum(int(seconds // 2) for seconds in SECONDS.values())
    assert fault not in set(captions)
    video, _, told = failed[0]
    number = int(float(told.split(" s to ")[0]) // 2)
    assert told.startswith(f"{2 * number} s to {2 * number + 2} s: ")
    assert f"{video}@{number}" not in set(pd.read_parquet(out / "labels.parquet")["item_id"])


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config.json", '{"model_type": "vit"}', r"config.json: model_type: expected 'toy', not 'vit'"),
        ("config.json", "[", r"config.json: "),
        ("model.safetensors", "no tensors", r"model.safetensors: cannot be read as safetensors"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_any_video_is_read(file, text, said, shard, monkeypatch):
    (shard.folder / "weights" / file).write_text(text)
    monkeypatch.setattr(write, "read_clips", lambda *_: pytest.fail("a video was read"))
    with pytest.raises(ValueError, match=said) as error:
        shard.run("out")
    assert "\n" not in str(error.value)


def test_a_size_that_does_not_fit_the_patches_is_refused(shard):
    with pytest.raises(ValueError, match="size: 18 px is no multiple of the patches' 4 px"):
        shard.run("out", size=18)


def test_where_the_time_went_is_told(shard):
    shard.run("out")
    assert shard.metrics["label/clips"] == sum(int(seconds // 2) for seconds in SECONDS.values())
    parts = {"decode", "wait", "encode", "generate"}
    assert {name for name in shard.metrics if name.endswith("_s")} >= {f"label/{part}_s" for part in parts}
    assert all(np.isfinite(value) for value in shard.metrics.values())


def test_the_report_is_given_small_pictures_of_the_first_clips(shard):
    shown = pd.read_parquet(shard.run("out") / "shown.parquet")
    table = pd.read_parquet(shard.folder / "out/labels.parquet").groupby("video_id").head(4)
    assert list(shown["caption"]) == list(table["text_out"])
    assert [len(row.rgb) for row in shown.itertuples()] == [
        row.height * row.width * 3 for row in shown.itertuples()
    ]
    assert shown["time_s"].tolist() == (shown["start_s"] + 1.0).tolist()


def test_shards_are_joined_in_order_and_a_release_without_a_label_is_an_error(shard, tmp_path):
    out = shard.run("out")
    other = tmp_path / "other"
    other.mkdir()
    table = pd.read_parquet(out / "labels.parquet")
    table.assign(item_id="z" + table["item_id"], ref_id="z" + table["ref_id"]).to_parquet(
        other / "labels.parquet"
    )
    (other / "labels.jsonl").write_text('{"video_id": "z"}\n')
    (other / "failures.csv").write_text("video_id,path,reason\n0,0.mp4,why\n")
    joined = {
        "table_out": tmp_path / "j.parquet",
        "jsonl_out": tmp_path / "j.jsonl",
        "failures_out": tmp_path / "j.csv",
    }

    def join(folders):
        lists = {"tables": "labels.parquet", "lines": "labels.jsonl", "failures": "failures.csv"}
        index_pseudolabels(**{key: [f / name for f in folders] for key, name in lists.items()}, **joined)

    join([out, other])
    assert len(pd.read_parquet(joined["table_out"])) == 2 * len(table)
    assert read_failures(joined["failures_out"])[0] == ("0", "0.mp4", "why")
    assert (
        joined["jsonl_out"].read_text().startswith('{"video_id": "z"}\n{"video_id": "a"')
    )  # by the shards' paths
    with pytest.raises(ValueError, match="item 'a@0' stands in two parts"):
        join([out, out])
    table[:0].to_parquet(other / "labels.parquet")
    with pytest.raises(
        ValueError, match=r"no clip of the release could be labelled; 1 failures\n  0 \(0.mp4\): why"
    ):
        join([other])
