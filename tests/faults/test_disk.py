"""A full disk, one that cannot be written, a folder that is not ours, too little memory: a clear error, nothing half
made; then the same command goes on."""

import shutil

import pytest

from tests.fixtures.mounts import NOBODY_SPECIAL, OWN_MOUNTS, allowed
from tests.workflow.conftest import checkout_at

STAGE = "results/mini/training/etenet/step1/msvd/seed1/decoder"
TARGET = f"{STAGE}/checkpoint.safetensors"
SPARE_KB = 100  # less than a checkpoint

pytestmark = pytest.mark.skipif(not allowed(OWN_MOUNTS), reason="this machine lets nobody mount a small disk")


def on_a_small_disk(project, lines):
    """Runs shell lines where results/ is a disk of its own with SPARE_KB left."""
    script = f"""
    set -u
    mv results kept
    mkdir results
    mount -t tmpfs -o size=1g tmpfs results
    cp -a kept/. results/
    rm -r {STAGE}
    used=$(du -s --block-size=1K results | cut -f1)
    mount -o remount,size=$((used + {SPARE_KB}))k results
    dd if=/dev/zero of=results/filler bs=1k count=100000 2> /dev/null
    left=$(df --output=avail results | tail -1)
    rm results/filler
    head -c $(( ($(df --output=avail results | tail -1) - {SPARE_KB}) * 1024 )) /dev/zero > results/filler || true
    {lines}
    cp -a results/. kept-after/
    """
    (project.folder / "kept-after").mkdir()
    return project.run(*OWN_MOUNTS, "bash", "-c", script, check=False)


@pytest.fixture
def full(built, tmp_path):
    """What was said and left when the disk was full, then when it was free again."""
    project = checkout_at(tmp_path / "full")
    for kept in ("results", "data", ".snakemake"):
        shutil.copytree(built.folder / kept, project.folder / kept, symlinks=True)
    done = on_a_small_disk(
        project,
        f"""
        snakemake --cores 1 {TARGET} > first.log 2>&1; echo first $?
        find results -name '.part-*' > parts.txt; ls {STAGE} > left.txt 2> /dev/null
        rm results/filler
        mount -o remount,size=1g results
        snakemake --cores 1 {TARGET} > second.log 2>&1; echo second $?
        """,
    )
    return project, done


def test_a_full_disk_ends_with_its_name_and_the_same_command_goes_on(built, full):
    project, done = full
    assert done.stdout.split() == ["first", "1", "second", "0"], done.stderr
    said = (project.folder / "first.log").read_text(encoding="utf-8")
    assert "No space left on device" in said
    assert (project.folder / "parts.txt").read_text(encoding="utf-8") == ""
    assert "checkpoint.safetensors" not in (project.folder / "left.txt").read_text(encoding="utf-8")
    made = project.folder / TARGET.replace("results/", "kept-after/")
    assert made.read_bytes() == (built.folder / TARGET).read_bytes()


def test_results_that_cannot_be_written_end_with_that_and_nothing_is_changed(built, tmp_path):
    project = built.copied(tmp_path / "copy")
    shutil.rmtree(project.folder / STAGE)
    before = files_of(project)
    script = (
        f"mount --bind results results && mount -o remount,bind,ro results && snakemake --cores 1 {TARGET}"
    )
    done = project.run(*OWN_MOUNTS, "bash", "-c", script, check=False)
    assert done.returncode == 1
    assert "Read-only file system" in done.stdout + done.stderr
    assert files_of(project) == before
    project.snakemake("--cores", "1", TARGET)
    assert (project.folder / TARGET).read_bytes() == (built.folder / TARGET).read_bytes()


def test_a_folder_that_one_may_not_write_is_named_and_nothing_is_changed(built, tmp_path):
    if not allowed(NOBODY_SPECIAL):
        pytest.fail("this machine maps no user, and root may write everywhere")
    project = built.copied(tmp_path / "copy")
    shutil.rmtree(project.folder / STAGE)
    folder, before = (project.folder / STAGE).parent, files_of(project)
    folder.chmod(0o555)
    done = project.run(*NOBODY_SPECIAL, "snakemake", "--cores", "1", TARGET, check=False)
    folder.chmod(0o755)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Permission denied" in said
    assert STAGE in said
    assert files_of(project) == before
    project.snakemake("--cores", "1", TARGET)
    assert (project.folder / TARGET).read_bytes() == (built.folder / TARGET).read_bytes()


def files_of(project):
    """What lies in results/, but for logs: Snakemake takes that of a job away before the job begins."""
    results = project.folder / "results"
    every = {p.relative_to(results) for p in results.rglob("*")}
    return sorted(p for p in every if p.parts[:2] != ("mini", "logs"))


def test_too_little_memory_ends_with_the_job_that_needed_it(built, tmp_path):
    project = built.copied(tmp_path / "copy")
    shutil.rmtree(project.folder / STAGE)
    script = f"ulimit -v 1200000 && snakemake --cores 1 {TARGET}"  # kB: Snakemake fits, a training does not
    done = project.run("bash", "-c", script, check=False)
    assert done.returncode == 1
    assert "train_stage" in done.stdout + done.stderr
    assert not (project.folder / TARGET).exists()
    assert not list(project.folder.rglob(".part-*"))
    project.snakemake("--cores", "1", TARGET)
    assert (project.folder / TARGET).read_bytes() == (built.folder / TARGET).read_bytes()
