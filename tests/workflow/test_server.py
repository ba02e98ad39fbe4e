"""The job server of a build: who it forks, who it does not, when there is none."""

import json


def test_a_build_is_forked_and_says_what_it_imported(built):
    said = (built.folder / ".snakemake/retake/server.log").read_text().splitlines()
    assert [line for line in said if not line.startswith("imported for scripts/")] == []
    assert any("torch" in line for line in said)


def test_a_forked_job_leaves_its_record_as_another_does(built):
    ends = [
        json.loads(file.read_text().splitlines()[-1])
        for file in (built.folder / "results/mini/records").rglob("*.jsonl")
    ]
    assert all(end["cpu_s"] > 0 and end["peak_mb"] > 10 for end in ends)


def test_what_runs_no_job_starts_none(tiny):
    for command in (["-n"], ["--lint"], ["--list-rules"], ["--summary"]):
        tiny.snakemake(*command, check=False)
        assert not (tiny.folder / ".snakemake/retake/server.log").exists(), command
    tiny.snakemake()
    log = tiny.folder / ".snakemake/retake/server.log"
    log.unlink()
    tiny.snakemake()
    assert not log.exists(), "nothing to be done"


def test_it_can_be_left_out(tiny):
    tiny.snakemake(RETAKE_SERVER="off")
    assert not (tiny.folder / ".snakemake/retake/server.log").exists()
    assert tiny.planned() == {}
