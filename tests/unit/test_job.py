"""What a job owes its rule: nothing half done under a final name, a record, a clear end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from retake import guard
from retake.schema.record import Record

ROOT = Path(__file__).resolve().parents[2]


def run(
    tmp_path: Path, body: str, *more: str, rank: str = "0", main: str = ""
) -> subprocess.CompletedProcess:
    script = tmp_path / "some_rule.py"
    script.write_text(f"from retake.job import job\nwith job() as j:\n    {body}\n")
    words = ["--wildcards", '{"split": "test"}', "--output", "table", "results/mini/t/a.csv"]
    words += ["--output", "record", "results/mini/records/a.jsonl", "--recipe", '{"width": 3}', *more]
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "RANK": rank, guard.MAIN: main}
    return subprocess.run(
        [sys.executable, script, *words], cwd=tmp_path, env=env, capture_output=True, text=True
    )


def test_an_output_gets_its_name_only_when_the_block_ends_well(tmp_path):
    done = run(tmp_path, "j.output['table'].write_text('x'); raise KeyError('lost')")
    assert done.returncode == 1
    assert not (tmp_path / "results/mini/t/a.csv").exists()
    assert list((tmp_path / "results/mini/t").iterdir()) == []
    assert "retake: some_rule (split=test) failed: KeyError: 'lost'" in done.stderr
    assert run(tmp_path, "j.output['table'].write_text('x')").returncode == 0
    assert (tmp_path / "results/mini/t/a.csv").read_text() == "x"


def test_what_a_killed_attempt_left_beside_an_output_does_not_come_along(tmp_path):
    killed = run(
        tmp_path,
        "j.output['table'].with_name('side.bin').write_text('old'); import os; os.kill(os.getpid(), 9)",
    )
    assert killed.returncode == -9
    assert list((tmp_path / "results/mini/t").rglob("side.bin"))
    assert run(tmp_path, "j.output['table'].write_text('x')").returncode == 0
    assert [path.name for path in (tmp_path / "results/mini/t").iterdir()] == ["a.csv"]


def test_a_job_whose_workflow_is_gone_makes_nothing(tmp_path):
    main = subprocess.Popen(["sleep", "60"])
    name = guard.name_of(main.pid)
    main.kill()
    main.wait()
    done = run(tmp_path, "j.output['table'].write_text('x')", main=name)
    assert done.returncode == -9
    assert not (tmp_path / "results").exists()


def test_an_output_that_was_not_written_is_an_error_that_names_it(tmp_path):
    done = run(tmp_path, "pass")
    assert done.returncode == 1
    assert "the script wrote no output 'table' (results/mini/t/a.csv)" in done.stderr


def test_the_record_says_what_was_asked_read_and_measured(tmp_path):
    (tmp_path / "in.txt").write_text("abc")
    body = "j.output['table'].write_text('x'); j.record.metric('loss', 0.5, 3)"
    assert run(tmp_path, body, "--input", "words", "in.txt").returncode == 0
    record = Record.read(tmp_path / "results/mini/records/a.jsonl")
    assert record.job["rule"] == "some_rule"
    assert record.job["params"] == {"width": 3}
    assert record.job["inputs"] == {
        "in.txt": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
    assert record.curve("loss") == [(3, 0.5)]
    assert record.end["status"] == "finished"
    assert record.end["peak_mb"] > 1


def test_the_record_counts_processor_time_of_the_job_and_of_what_it_started(tmp_path):
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    body = f"import subprocess, sys; exec({burn!r}); subprocess.run([sys.executable, '-c', {burn!r}]); "
    assert run(tmp_path, body + "j.output['table'].write_text('x')").returncode == 0
    spent = Record.read(tmp_path / "results/mini/records/a.jsonl").end["cpu_s"]
    assert 0.6 <= spent < 5


def test_a_failed_job_leaves_a_record_that_says_so_and_no_record_output(tmp_path):
    run(tmp_path, "raise ValueError('no')")
    assert not (tmp_path / "results/mini/records/a.jsonl").exists()
    (left,) = (tmp_path / "results/mini/running").iterdir()
    assert Record.read(left).end["status"] == "failed"


def test_digests_of_the_code_that_was_run_stand_where_snakemake_looks(tmp_path):
    kept = tmp_path / ".snakemake/retake/code/some_rule/digests.json"
    run(tmp_path, "j.output['table'].write_text('x')")
    assert not kept.exists()  # run by hand: nobody looks
    (tmp_path / "retake").mkdir()
    (tmp_path / "retake/job.py").write_text("# in the place of the module that the script imports\n")
    kept.parent.mkdir(parents=True)
    kept.write_text('{"retake/gone.py": "0"}')  # the code as it was when the graph was built
    run(tmp_path, "j.output['table'].write_text('x')", rank="1")
    assert "gone" in kept.read_text()  # one process of several writes it
    run(tmp_path, "j.output['table'].write_text('x')")
    assert list(json.loads(kept.read_text())) == ["retake/job.py"]


def test_the_seed_comes_from_the_jobs_name_alone(tmp_path):
    seen = []
    for width in (3, 4):
        run(tmp_path, "j.output['table'].write_text(str(j.seed))", "--recipe", json.dumps({"width": width}))
        seen.append((tmp_path / "results/mini/t/a.csv").read_text())
    run(tmp_path, "j.output['table'].write_text(str(j.seed))", "--wildcards", '{"split": "val"}')
    assert seen[0] == seen[1] != (tmp_path / "results/mini/t/a.csv").read_text()


def test_the_digest_changes_with_what_decides_the_outputs_and_with_nothing_else(tmp_path):
    def digest(*more: str) -> str:
        run(tmp_path, "j.output['table'].write_text('x')", *more)
        return Record.read(tmp_path / "results/mini/records/a.jsonl").job["digest"]

    assert digest() == digest()
    assert digest() != digest("--recipe", '{"width": 4}')


def test_resume_state_is_emptied_on_success_and_kept_on_failure(tmp_path):
    keep = "j.scratch.mkdir(parents=True, exist_ok=True); (j.scratch / 'state').write_text('s'); "
    body = keep + "j.output['table'].write_text('x'); assert 'fail' not in j.recipe"
    run(tmp_path, body, "--recipe", '{"fail": 1}')
    assert len(list((tmp_path / "results/mini/resume").rglob("state"))) == 1
    for left in (tmp_path / "results/mini/resume").rglob("state"):
        left.unlink()
    run(tmp_path, body)
    assert list((tmp_path / "results/mini/resume").rglob("state")) == []


def test_only_the_first_of_several_processes_writes(tmp_path):
    assert run(tmp_path, "j.output['table'].write_text('x') if False else None", rank="1").returncode == 0
    assert not (tmp_path / "results/mini/records/a.jsonl").exists()


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"])
def test_a_job_fixes_its_threads_before_anything_heavy_is_imported(tmp_path, variable):
    run(tmp_path, f"import os; j.output['table'].write_text(os.environ['{variable}'])", "--threads", "1")
    assert (tmp_path / "results/mini/t/a.csv").read_text() == "1"
