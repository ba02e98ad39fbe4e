"""Manifests, shards, records and provenance: small files that others depend on."""

import io
import json
from hashlib import sha256

import pytest

from retake.schema.manifest import Manifest, entry_of
from retake.schema.provenance import provenance_of
from retake.schema.record import Record, RecordWriter, digest_of
from retake.schema.shards import shard_names, shard_of
from retake.schema.strict import SettingError, read_yaml


def test_a_manifest_reads_back_what_was_written_sorted_by_path(tmp_path):
    for name in ("b c.mp4", "ä.mp4"):
        (tmp_path / name).write_bytes(name.encode())
    entries = [entry_of(tmp_path, tmp_path / name, name[0]) for name in ("ä.mp4", "b c.mp4")]
    Manifest("r", "data/mini/r", entries).write(tmp_path / "m.json")
    read = Manifest.read(tmp_path / "m.json")
    assert [e.path for e in read.files] == ["b c.mp4", "ä.mp4"]
    assert read.files[0].sha256 == sha256(b"b c.mp4").hexdigest()
    assert read.files[0].size == 7
    assert {k: p.as_posix() for k, p in read.videos().items()} == {
        "b": "data/mini/r/b c.mp4",
        "ä": "data/mini/r/ä.mp4",
    }


def test_a_file_that_is_no_manifest_is_named(tmp_path):
    (tmp_path / "m.json").write_text('{"release": "r"}')
    with pytest.raises(ValueError, match=r"m\.json: not a manifest"):
        Manifest.read(tmp_path / "m.json")


def test_a_shard_depends_on_the_videos_name_alone_and_all_shards_are_used():
    # sha256("video0") begins with bytes whose big-endian value, modulo 4, is computed here by hand
    first = int(sha256(b"video0").hexdigest()[:8], 16) % 4
    assert shard_of("video0", 4) == f"{first:03d}"
    assert {shard_of(f"video{n}", 4) for n in range(100)} == set(shard_names(4))


def test_a_record_keeps_every_point_and_knows_how_it_ended():
    file = io.StringIO()
    writer = RecordWriter(file)
    writer.line(kind="job", rule="r")
    writer.metric("loss", 2.0, 1)
    writer.metric("loss", 1.0, 2)
    writer.end("finished", cpu_s=3.25, peak_mb=12.5)
    rows = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [row["kind"] for row in rows] == ["job", "metric", "metric", "end"]


def test_a_torn_last_line_is_left_out_and_the_record_has_no_end(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(
        '{"kind": "job", "rule": "r"}\n{"kind": "metric", "name": "a", "value": 1, "step": 0}\n{"ki'
    )
    record = Record.read(path)
    assert record.end is None
    assert record.curve("a") == [(0, 1)]
    path.write_text('{"kind": "job"}\n{"ki\n{"kind": "end"}\n')
    with pytest.raises(ValueError, match="line 2: not JSON"):
        Record.read(path)


def test_an_infinite_metric_is_an_error():
    with pytest.raises(ValueError, match="metric loss at step 3 is inf"):
        RecordWriter(io.StringIO()).metric("loss", float("inf"), 3)


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert (
        digest_of({"a": 1, "b": [1, 2]})
        == digest_of({"b": [1, 2], "a": 1})
        != digest_of({"a": 1, "b": [2, 1]})
    )


def test_a_number_is_traced_to_checkpoint_data_recipe_and_record(tmp_path):
    path = tmp_path / "r.jsonl"
    inputs = {
        "results/mini/training/m/v/d/seed1/s/checkpoint.safetensors": "c1",
        "results/mini/annotations/d.parquet": "a1",
        "results/mini/media/v/d/index.parquet": "m1",
    }
    job = {
        "kind": "job",
        "params": {"beam": 5},
        "inputs": inputs,
        "code": "k1",
        "digest": "d1",
        "commit": "x",
    }
    path.write_text(json.dumps(job) + "\n")
    got = provenance_of({"method": "m"}, path)
    assert got["digests"] == {
        "checkpoint": "c1", "annotations": "a1", "media": "m1", "code": "k1", "recipe": digest_of({"beam": 5}),
    }  # fmt: skip
    assert got["record"] == {"path": path.as_posix(), "digest": "d1"}
    assert "x" not in repr(got)


def test_yaml_that_cannot_be_read_is_named_with_its_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("a: 1\nb: [1\n")
    with pytest.raises(SettingError, match=r"c\.yaml: cannot be read as YAML: .*line"):
        read_yaml(path)
    with pytest.raises(SettingError, match="no such file"):
        read_yaml(tmp_path / "d.yaml")
