"""File times are put in an order that says the truth about content."""

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from retake import guard
from retake.settle import settle

OLD = 946_684_800  # 2000-01-01
ROOT = Path(__file__).resolve().parents[2]


class Workflow:
    """A folder with files and with records as Snakemake writes them."""

    def __init__(self, root):
        self.root = root

    def file(self, path, content="x", at=None):
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(content)
        self.at(path, at if at is not None else time.time() - 1000)
        return full

    def at(self, path, seconds):
        os.utime(self.root / path, (seconds, seconds))

    def time(self, path):
        return (self.root / path).stat().st_mtime_ns

    def record(self, output, *inputs, longest=255, started=None):
        """`longest`: a name part's limit, after which Snakemake goes on in a folder."""
        sums = {i: f"sha256:{hashlib.sha256((self.root / i).read_bytes()).hexdigest()}" for i in inputs}
        name = base64.urlsafe_b64encode(output.encode()).decode()
        parts = [name[i : i + longest - 1] for i in range(0, len(name), longest - 1)]
        path = self.root.joinpath(".snakemake/metadata", *["@" + p for p in parts[:-1]], parts[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        body = {"input": list(inputs), "input_checksums": sums, "starttime": started or time.time()}
        path.write_text(json.dumps(body))
        return path

    def order(self):
        return {p: self.time(p) for p in ("in", "mid", "out")}


@pytest.fixture
def chain(tmp_path):
    """in -> mid -> out, built in order."""
    workflow = Workflow(tmp_path)
    workflow.file("in", "1", at=1_000_000)
    workflow.file("mid", "2", at=1_000_001)
    workflow.file("out", "3", at=1_000_002)
    workflow.record("mid", "in")
    workflow.record("out", "mid")
    return workflow


def test_files_in_order_keep_their_times(chain):
    before = chain.order()
    done = settle(chain.root)
    assert (done.files, done.hashed, done.touched, done.changed) == (3, 2, 0, [])
    assert chain.order() == before


def test_a_changed_input_that_looks_old_becomes_newer_than_what_was_made_from_it(chain):
    settle(chain.root)
    chain.file("in", "other", at=OLD)
    assert settle(chain.root).changed == ["in"]
    assert chain.time("in") > chain.time("mid")


def test_a_changed_input_is_found_also_the_first_time(chain):
    """As in a clone: no stamp is there yet."""
    chain.file("in", "other", at=OLD)
    settle(chain.root)
    assert chain.time("in") > chain.time("mid")


def test_a_change_of_the_same_size_and_time_is_found(chain):
    settle(chain.root)
    seen = chain.time("in")
    (chain.root / "in").write_text("9")
    os.utime(chain.root / "in", ns=(seen, seen))
    settle(chain.root)
    assert chain.time("in") > chain.time("mid")


def test_an_unchanged_input_that_looks_new_is_acquitted(chain):
    chain.at("in", time.time())
    done = settle(chain.root)
    assert done.changed == []
    assert chain.time("in") <= chain.time("mid") <= chain.time("out")


@pytest.mark.parametrize("seed", range(10))
def test_random_times_end_in_order_or_in_conviction(tmp_path, seed):
    draw = random.Random(seed)
    workflow = Workflow(tmp_path)
    names = [f"f{n}" for n in range(12)]
    made_from = {}
    for n, name in enumerate(names):
        workflow.file(name, f"content {n}")
        made_from[name] = draw.sample(names[:n], min(n, draw.randint(0, 3)))
    for name, inputs in made_from.items():
        if inputs:
            workflow.record(name, *inputs)
    changed = draw.choice([i for inputs in made_from.values() for i in inputs])
    workflow.file(changed, "changed")
    for name in names:
        workflow.at(name, draw.uniform(1e9, 1.7e9))
    assert settle(tmp_path).changed == [changed]
    for name, inputs in made_from.items():
        for i in inputs:
            if i == changed:
                assert workflow.time(i) > workflow.time(name)
            elif changed not in inputs:  # the others may be compared again, never accepted wrongly
                assert workflow.time(i) <= workflow.time(name) or name == changed


def test_nothing_moved_costs_one_look_at_each_file(tmp_path):
    workflow = Workflow(tmp_path)
    for n in range(300):
        workflow.file(f"in{n}")
        workflow.file(f"out{n}")
        workflow.record(f"out{n}", *(f"in{m}" for m in range(max(0, n - 10), n + 1)))
    time.sleep(0.06)  # older than the clock's tick, or it is looked at again
    first = settle(tmp_path)
    second = settle(tmp_path)
    assert first.hashed == 300
    assert (second.hashed, second.touched) == (0, 0)


def test_a_file_that_was_only_copied_anew_is_hashed_once_and_acquitted(chain):
    """As `dvc commit` does: same bytes, another inode, a new time."""
    time.sleep(0.06)
    settle(chain.root)
    content = (chain.root / "in").read_text()
    (chain.root / "in").unlink()
    chain.file("in", content, at=time.time())
    time.sleep(0.06)
    done = settle(chain.root)
    assert (done.hashed, done.changed) == (1, [])
    assert settle(chain.root).hashed == 0


def test_names_that_snakemake_splits_into_folders_are_read(tmp_path):
    workflow = Workflow(tmp_path)
    long = "/".join(["a" * 90] * 5)
    workflow.file("in", "1", at=1_000_000)
    workflow.file(long, "2", at=1_000_001)
    record = workflow.record(long, "in")
    assert "/@" in record.as_posix()
    workflow.file("in", "other", at=OLD)
    assert settle(tmp_path).changed == ["in"]
    assert workflow.time("in") > workflow.time(long)


def test_a_missing_intermediate_passes_the_judgement_on(chain):
    (chain.root / "mid").unlink()
    chain.file("in", "other", at=OLD)
    settle(chain.root)
    assert chain.time("in") > chain.time("out")
    settled = chain.time("in")
    settle(chain.root)
    assert chain.time("in") == settled, "once is enough"


def test_an_input_without_a_recorded_checksum_keeps_its_time(chain):
    record = next((chain.root / ".snakemake/metadata").iterdir())
    for record in (chain.root / ".snakemake/metadata").iterdir():
        record.write_text(json.dumps(json.loads(record.read_text()) | {"input_checksums": {}}))
    chain.file("in", "other", at=OLD)
    assert settle(chain.root).touched == 0
    assert chain.time("in") == OLD * 10**9


def test_records_in_a_circle_and_torn_ones_do_no_harm(chain):
    chain.record("in", "out")
    (chain.root / ".snakemake/metadata" / base64.urlsafe_b64encode(b"x").decode()).write_text('{"inp')
    chain.file("in", "other", at=OLD)
    settle(chain.root)
    assert chain.time("in") > chain.time("mid")


def test_what_this_run_has_read_is_not_hashed_again(chain):
    began = time.time()
    time.sleep(0.02)
    chain.record("mid", "in", started=time.time())
    chain.record("out", "mid", started=time.time())
    assert settle(chain.root, since=began - 60).hashed == 0


def test_records_that_came_from_elsewhere_vouch_for_nothing(chain):
    """Their times are another machine's: an edited script may be older than the pulled record says it ran."""
    chain.file("in", "other", at=OLD)
    for record in (chain.root / ".snakemake/metadata").iterdir():
        record.write_text(json.dumps(json.loads(record.read_text()) | {"starttime": time.time() + 60}))
    assert settle(chain.root, since=time.time() + 1).changed == ["in"]


def test_a_folder_without_records_is_left_alone(tmp_path):
    assert settle(tmp_path).files == 0
    assert not list(tmp_path.iterdir())


def test_a_running_workflow_is_not_touched(chain):
    chain.file("in", "other", at=OLD)
    run = [sys.executable, "-m", "retake.settle", str(chain.root)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with guard.held(chain.root):
        said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
        assert "a workflow is running here" in said.stdout
        assert chain.time("in") == OLD * 10**9
    said = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    assert "changed since used: in" in said.stdout
    assert chain.time("in") > chain.time("mid")
