"""A build of the real project: what it leaves, what a part of it needs, and that it is finished."""

import csv
import json
import sys

import pytest
import yaml

from tests.workflow.conftest import plan_of

TABLES = ("kinds", "table_1", "table_2")


def said(done):
    return done.stdout + done.stderr


def files_of(folder):
    """Path -> time of every file that a run could have written."""
    kept = (folder / "results", folder / "data")
    return {f: f.stat().st_mtime_ns for top in kept for f in top.rglob("*") if f.is_file()}


def test_a_second_run_does_nothing(reference, tmp_path, told):
    copy = reference.copied(tmp_path / "copy")
    before = files_of(copy.folder)
    assert "Nothing to be done" in said(copy.snakemake("-n"))
    assert "Nothing to be done" in said(copy.snakemake())
    assert files_of(copy.folder) == before
    told("files that a second run leaves alone", len(before))


def test_a_run_that_finds_nothing_to_do_imports_no_table_library_and_no_torch(copy):
    """Seconds at each start: the parts of the package that the graph needs do not, nor does Snakemake by itself."""
    code = (
        "import sys; from snakemake.cli import main\n"
        "try: main(['-n'])\n"
        "except SystemExit as ended: assert not ended.code\n"
        "print('imported', sorted({'pandas', 'torch', 'mlflow'} & set(sys.modules)))"
    )
    done = copy.run(sys.executable, "-c", code)
    assert "Nothing to be done" in said(done)
    assert "imported []" in done.stdout


def test_what_a_build_leaves(reference):
    results = reference.folder / "results/mini"
    plan = plan_of(reference)
    assert plan.table_paths()
    for table in plan.table_paths():
        with (reference.folder / table).open(encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) > 1, table
        page = (reference.folder / table).with_suffix(".md").read_text(encoding="utf-8")
        assert page.count("\n|") > 2, table
    assert plan.figure_paths()
    for figure in plan.figure_paths():
        assert "</svg>" in (reference.folder / figure).read_text(encoding="utf-8"), figure
        assert (reference.folder / figure).with_suffix(".csv").stat().st_size
    assert list(csv.DictReader((results / "claims.csv").open(encoding="utf-8", newline="")))
    assert "<html" in (results / "report/index.html").read_text(encoding="utf-8")


def test_every_job_leaves_a_finished_record_its_cost_and_a_log(reference, told):
    results = reference.folder / "results/mini"
    jobs = {f.relative_to(results / "costs").with_suffix("") for f in (results / "costs").rglob("*.jsonl")}
    logs = {f.relative_to(results / "logs").with_suffix("") for f in (results / "logs").rglob("*.log")}
    files = [*(results / "records").rglob("*.jsonl"), *(results / "training").rglob("record.jsonl")]
    ends = [json.loads(file.read_text().splitlines()[-1]) for file in files]
    assert jobs == logs
    assert len(files) == len(jobs) > 40
    assert {(end["kind"], end["status"]) for end in ends} == {("end", "finished")}
    told("jobs with record, cost and log", len(jobs))


def test_no_job_leaves_anything_half_made(reference):
    results = reference.folder / "results/mini"
    assert not list((results / "running").glob("*")), "a record that was begun and never got its place"
    assert not list(reference.folder.rglob(".part-*"))
    logs = [f for f in (results / "logs").rglob("*.log") if "Traceback" in f.read_text(encoding="utf-8")]
    assert logs == []


@pytest.fixture
def bare(built, tmp_path):
    """The project with nothing made."""
    from tests.workflow.conftest import checkout_at

    return checkout_at(tmp_path / "bare")


def test_one_table_builds_nothing_that_it_does_not_need(bare):
    done = said(bare.snakemake("-n", "results/mini/tables/etenet/table_1.csv"))
    assert "msrvtt" not in done.split("Job stats:")[1]
    assert bare.planned("results/mini/tables/etenet/table_1.csv") == {
        "make_release": 2,  # msvd, and the pictures that the encoder is trained on
        "render_videos": 3,
        "build_annotations": 2,
        "extract_frames": 3,
        "index_media": 2,
        "pretrain_weights": 1,
        "extract_bank": 2,
        "index_bank": 1,
        "train_stage": 2,
        "predict": 2,
        "filter_paraphrases": 1,
        "score": 2,
        "tabulate": 1,
    }


def test_headline_plans_the_headline_tables_only(bare):
    recipe = yaml.safe_load((bare.folder / "retake/methods/etenet/recipe.yaml").read_text(encoding="utf-8"))
    wanted = {name for name, table in recipe["tables"].items() if table.get("headline")}
    done = said(bare.snakemake("-n", "headline"))
    for table in TABLES:
        assert (f"results/mini/tables/etenet/{table}.csv" in done) == (table in wanted)
    assert wanted == {"table_1", "table_2"}
    planned = bare.planned("headline")
    assert planned["tabulate"] == 2
    assert planned["predict"] == 4, "no blind twin"
    assert not {"draw_figure", "judge_claims", "collect_claims", "render_report"} & set(planned)


def test_snakemakes_own_report_is_one_page_with_the_tables(copy):
    copy.snakemake("--report", "r.html")
    page = (copy.folder / "r.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html")
    for name in (*TABLES, "figure_3", "claims.csv", "index.html"):
        assert name in page


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seeds: [1]", "seed: [1]", ["config.yaml", "seed", "seeds"]),
        ("scale: mini", "scale: minni", ["config.yaml", "scale", "minni"]),
        ("method: etenet", "method: etent", ["config.yaml", "etent", "etenet"]),
        ("datasets: [msvd, msrvtt]", "datasets: [msvd, msrvt]", ["config.yaml", "msrvt", "msrvtt"]),
    ],
)
def test_a_typo_ends_in_one_line_and_touches_no_result(copy, old, new, words):
    before = files_of(copy.folder)
    copy.edit("config.yaml", old, new)
    done = copy.snakemake(check=False)
    assert done.returncode == 1
    [line] = [line for line in said(done).splitlines() if "workflow specific profile" not in line]
    assert all(word in line for word in words), line
    assert files_of(copy.folder) == before


def test_a_typo_in_an_empty_folder_makes_no_results_folder(bare):
    bare.edit("retake/methods/etenet/recipe.yaml", "    hidden: 128", "    hiden: 128")
    done = bare.snakemake("annotations", check=False)
    assert done.returncode == 1
    assert "mini.model" in done.stderr
    assert "hiden" in done.stderr
    assert len([line for line in done.stderr.splitlines() if "workflow specific profile" not in line]) == 1
    assert not (bare.folder / "results").exists()
    assert not (bare.folder / "data").exists()


def test_a_file_that_a_target_names_wrongly_is_named_with_what_there_is(bare):
    done = bare.snakemake("results/mini/tables/etenet/table_7.csv", check=False)
    assert done.returncode == 1
    assert "table_7" in done.stderr
    assert "table_2" in done.stderr
