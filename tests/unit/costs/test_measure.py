"""Times: what is done how often to how many frames; the numbers themselves are the machine's."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from retake.costs import measure, passing, preparing
from retake.costs.clip import coded, pictures
from retake.costs.measure import measure_cost
from retake.data.motion import read_coded
from retake.schema.costs import TIMES, CostFile

CLIP = {"size": [48, 64], "frames": 14, "gop": 12, "quality": 1, "pairs": 2}
SPEC = {"kind": "time", "systems": ["ours", "flow", "plain"], "videos": 2, "repeats": 3} | CLIP


def network(shape, frames=(1, 1)):
    return {"network": "resnet18", "arguments": {"channels": [8, 8, 8, 8], "layers": [1, 1, 1, 1]},
            "input": shape, "frames": list(frames)}  # fmt: skip


SIGNALS, FLOW = {"signals": ["iframe", "motion"], "flow": None}, {"signals": [], "flow": "tvl1"}
SYSTEMS = {
    "ours": {"prepare": SIGNALS, "networks": [network([3, 32, 32], (1, 12)), network([2, 32, 32], (11, 12))]},
    "flow": {"prepare": FLOW, "networks": [network([3, 32, 32])]},
    "plain": {"prepare": None, "networks": [network([3, 32, 32])]},
}


def test_the_clip_is_a_stream_of_so_many_frames_in_groups():
    stream = coded((48, 64), 14, 12, 1)
    frames = list(read_coded(stream, ["rgb", "motion"]))
    assert [f.kind for f in frames] == ["I", *"P" * 11, "I", "P"]
    assert {f.rgb.shape for f in frames} == {(48, 64, 3)}
    assert stream == coded((48, 64), 14, 12, 1)
    assert any(np.abs(f.motion).max() > 0 for f in frames if f.kind == "P")


def test_pictures_are_all_of_one_size_however_many():
    assert pictures((256, 340), 70).shape == (70, 256, 340, 3)


class Clock:
    """Says a second more each time that it is asked."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_a_time_is_the_median_over_repeats_by_frame(monkeypatch):
    done, ticks = [], iter([0, 1, 10, 13, 20, 22])  # it takes 1, 3 and 2 seconds
    monkeypatch.setattr(preparing, "work_of", lambda prepare, clip: (lambda: done.append(1), 4))
    monkeypatch.setattr(preparing.time, "perf_counter", lambda: next(ticks))
    assert preparing.one_process(SIGNALS, CLIP, 3) == 2 / 4 * 1000
    assert len(done) == 4  # one is not counted


def test_flow_is_computed_once_over_all_pairs(monkeypatch):
    work, frames = preparing.work_of(FLOW, CLIP)
    assert frames == 2
    assert [f.shape for f in work()] == [(48, 64, 2)] * 2
    monkeypatch.setattr(preparing.time, "perf_counter", Clock())
    assert preparing.one_process(FLOW, CLIP, 9) == 500


def test_signals_are_of_every_frame_of_the_clip():
    work, frames = preparing.work_of(SIGNALS, CLIP)
    assert work() == frames == 14


def test_many_processes_are_timed_from_the_first_begin_to_the_last_end(monkeypatch):
    told = iter([{"begin": 5.0, "end": 7.0, "frames": 10}, {"begin": 5.5, "end": 9.0, "frames": 10}])
    lines = {}

    class Process:
        def __init__(self, command, **_):
            assert command[1:3] == ["-m", "retake.costs.preparing"]
            self.number, self.said = len(lines), ["ready\n", json.dumps(next(told)) + "\n"]
            lines[self.number] = []
            self.stdin = SimpleNamespace(write=lines[self.number].append, flush=lambda: None)
            self.stdout = SimpleNamespace(readline=lambda: self.said.pop(0))

        def kill(self):
            pass

        def communicate(self):
            pass

    monkeypatch.setattr(preparing.subprocess, "Popen", Process)
    assert preparing.many_processes(SIGNALS, CLIP, 1, 2) == 4 / 20 * 1000
    assert list(lines.values()) == [["begin\n"], ["begin\n"]]


def test_processes_really_work_and_one_that_ends_early_is_an_error():
    assert preparing.many_processes(SIGNALS, CLIP, 1, 2) > 0
    with pytest.raises(RuntimeError, match="ended with status 1"):
        preparing.many_processes(SIGNALS | {"signals": ["sound"]}, CLIP, 1, 1)


def test_each_network_sees_its_share_of_the_fewest_frames_that_come_out_whole():
    assert passing.shares(SYSTEMS["ours"]["networks"]) == (12, [1, 11])
    assert passing.shares([network([3, 8, 8]), network([3, 8, 8], (1, 4)), network([3, 8, 8], (1, 6))]) == (
        12,
        [12, 3, 2],
    )
    held = passing.Networks(SYSTEMS["ours"]["networks"], 2, torch.device("cpu"))
    assert [tuple(batch.shape) for _, batch in held.parts] == [(2, 3, 32, 32), (22, 2, 32, 32)]


def test_at_once_every_network_is_in_its_pass_before_any_is_done():
    held = passing.Networks(SYSTEMS["ours"]["networks"], 1, torch.device("cpu"))
    from threading import Barrier

    together, seen = Barrier(2, timeout=30), []

    def wait(batch):
        together.wait()
        seen.append(len(batch))

    held.parts = [(wait, batch) for _, batch in held.parts]
    held.at_once()
    assert sorted(seen) == [1, 11]


def test_passes_are_timed_by_the_frame_of_a_video(monkeypatch):
    held = passing.Networks(SYSTEMS["ours"]["networks"], 2, torch.device("cpu"))
    monkeypatch.setattr(passing.time, "perf_counter", Clock())
    assert held.milliseconds(held.in_turn, 3) == 1 / 24 * 1000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_networks_run_on_a_gpu():
    found = passing.times(SYSTEMS["ours"]["networks"], 2, 2)
    assert min(found.values()) > 0


def test_networks_run_on_a_processor():
    found = passing.times(SYSTEMS["ours"]["networks"], 1, 1)
    assert sorted(found) == ["ms_at_once", "ms_in_turn"]
    assert min(found.values()) > 0


@pytest.fixture
def timed(monkeypatch, tmp_path):
    asked = []

    def noted(name, value):
        def call(*given):
            asked.append((name, given))
            return value

        return call

    monkeypatch.setattr(preparing, "one_process", noted("one", 2.0))
    monkeypatch.setattr(preparing, "many_processes", noted("many", 1.0))
    monkeypatch.setattr(passing, "times", noted("times", {"ms_in_turn": 4.0, "ms_at_once": 3.0}))
    systems = SYSTEMS | {"ours_too": SYSTEMS["ours"]}
    spec = SPEC | {"systems": [*SPEC["systems"], "ours_too"]}
    out = tmp_path / "times.json"
    measure_cost(method="demo", cost="times", spec=spec, systems=systems, out=out)
    return CostFile.read(out), asked


def test_a_file_of_times_says_of_which_machine_they_are(timed):
    file, asked = timed
    assert (file.method, file.cost, file.kind) == ("demo", "times", "time")
    assert "networks" in file.machine
    assert set(file.values["ours"]) == set(TIMES)
    assert file.values["ours"]["ms_prepare_many"] == 1.0
    assert [name for name, _ in asked].count("one") == 2  # two ways of preparing, three systems that prepare
    assert asked[0][1][0] == SIGNALS
    assert asked[0][1][1] == CLIP


def test_a_system_that_prepares_nothing_has_no_time_of_it(timed):
    assert set(timed[0].values["plain"]) == {"ms_in_turn", "ms_at_once"}


def test_counted_costs_are_the_same_bytes_and_of_no_machine(tmp_path):
    spec = {"kind": "operations", "systems": ["plain"]}
    for name in ("one.json", "two.json"):
        measure_cost(method="demo", cost="o", spec=spec, systems=SYSTEMS, out=tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    file = CostFile.read(tmp_path / "one.json")
    assert file.machine is None
    assert list(file.values["plain"]) == ["gflops"]


def test_the_machine_is_told_without_its_name():
    import platform

    said = measure.machine_of(7)
    assert "7 in use" in said
    assert platform.node() not in said
