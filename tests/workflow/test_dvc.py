"""Build here, push; clone there, pull: nothing is left to do, and what is changed is made again, no more."""

import csv
import json
import os
import random
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import Project, tiny_at

ROOT = Path(__file__).resolve().parents[2]
PLACE = "/path/to/a/folder"  # README's word for where to share


def readme_lines(start: str, end: str) -> list[str]:
    """README's lines on DVC from the one that begins with `start` to the one that begins with `end`."""
    section = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .split("## Share results with DVC")[1]
        .split("\n## ")[0]
    )
    lines = [line.split("#")[0].strip() for line in section.splitlines()]
    first = next(n for n, line in enumerate(lines) if line.startswith(start))
    last = next(n for n, line in enumerate(lines) if line.startswith(end))
    return lines[first : last + 1]


PUBLISH = readme_lines("dvc remote add", "dvc push")
FETCH = readme_lines("dvc pull", "dvc pull")


def publish(project, place):
    """Runs README's lines, with a folder for the remote, and commits what they leave."""
    for line in PUBLISH:
        project.run(*line.replace(PLACE, str(place)).split())
    project.commit_all()


def cloned(project, folder):
    project.run("git", "clone", "-q", str(project.folder), str(folder))
    there = replace(project, folder=folder)
    for line in FETCH:
        there.run(*line.split())
    return there


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(the project that was built and pushed, to clone from). Nothing may change it."""
    place = tmp_path_factory.mktemp("published")
    project = tiny_at(place / "a")
    project.run("git", "init", "-q", "-b", "main")
    project.commit_all()
    project.snakemake()
    publish(project, place / "remote")
    return project


@pytest.fixture
def clone(published, tmp_path):
    """A clone after `dvc pull`."""
    return cloned(published, tmp_path / "b")


def files_below(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_a_clone_has_nothing_to_do_and_the_same_bytes(published, clone):
    assert clone.planned() == {}
    for kept in ("results/mini/tables", "results/mini/training", "results/mini/claims.csv", "data/mini"):
        a, b = published.folder / kept, clone.folder / kept
        assert (a.read_bytes() == b.read_bytes()) if a.is_file() else (files_below(a) == files_below(b) != {})
    assert "up to date" in clone.run("dvc", "status").stdout


def test_random_file_times_change_nothing(clone):
    for seed in range(3):
        draw = random.Random(seed)
        for file in sorted(p for p in clone.folder.rglob("*") if p.is_file() and ".git" not in p.parts):
            when = draw.uniform(1e9, 1.7e9)
            os.utime(file, (when, when))
        assert clone.planned() == {}, f"times of seed {seed}"


def test_an_edited_script_that_looks_old_is_found(clone):
    """Without settling Snakemake takes it for unchanged: its checksums acquit, they never convict."""
    world = clone.folder / "scripts/world.py"
    world.write_text("# another world\n")
    os.utime(world, (946_684_800, 946_684_800))
    planned = clone.planned()
    assert planned["make_release"] == 1
    assert "make_release" in planned
    assert "scripts" in clone.run("dvc", "status").stdout


def test_one_changed_value_makes_again_what_depends_on_it(clone):
    config = clone.folder / "config.yaml"
    config.write_text(config.read_text().replace("a figure", "another"))
    assert clone.planned() == {"draw_figure": 1, "render_report": 1}
    config.write_text(config.read_text().replace("lr: 1", "lr: 2"))
    assert clone.planned() == {
        "train_stage": 2,
        "tabulate_curves": 1,
        "predict": 2,
        "score": 2,
        "tabulate": 1,
        "draw_figure": 1,
        "judge_claims": 1,
        "collect_claims": 1,
        "render_report": 1,
    }


def test_an_edited_intermediate_that_looks_old_is_found(clone):
    edited = clone.folder / "results/mini/annotations/msvd.parquet"
    edited.write_text("edited")
    os.utime(edited, (946_684_800, 946_684_800))
    assert clone.planned()["train_stage"] == 2


def test_repro_after_snakemake_and_snakemake_after_repro_have_nothing_to_do(clone):
    config = clone.folder / "config.yaml"
    config.write_text(config.read_text().replace("lr: 1", "lr: 2"))
    before = files_below(clone.folder / "results/mini/tables")
    done = clone.run("dvc", "repro").stdout
    assert "Running stage 'training'" in done
    assert files_below(clone.folder / "results/mini/tables") != before
    assert clone.planned() == {}
    config.write_text(config.read_text().replace("lr: 2", "lr: 3"))
    clone.snakemake()
    clone.run("dvc", "commit", "-f")
    assert "up to date" in clone.run("dvc", "status").stdout
    assert clone.planned() == {}
    assert "Running stage" not in clone.run("dvc", "repro").stdout


def test_the_commit_before_comes_back_whole(clone):
    first = files_below(clone.folder / "results/mini/tables")
    config = clone.folder / "config.yaml"
    config.write_text(config.read_text().replace("lr: 1", "lr: 2"))
    clone.snakemake()
    clone.run("dvc", "commit", "-f")
    clone.commit_all()
    clone.run("git", "checkout", "-q", "HEAD~1")
    clone.run("dvc", "checkout")
    assert files_below(clone.folder / "results/mini/tables") == first
    assert clone.planned() == {}


@pytest.fixture
def unpulled(published, tmp_path):
    """A clone into which nothing was pulled."""
    published.run("git", "clone", "-q", str(published.folder), str(tmp_path / "b"))
    return replace(published, folder=tmp_path / "b")


@pytest.mark.parametrize(
    "part",
    [
        "results/mini/tables",
        "results/mini/detections",
        "results/mini/features/b/msvd",
        "results/mini/pseudolabels",
        "results/mini/training/m/v/msvd/seed2/s/checkpoint.safetensors",
    ],
)
def test_a_part_alone_can_be_pulled(published, unpulled, part):
    unpulled.run("dvc", "pull", part)
    top = [p.name for p in (unpulled.folder / "results/mini").iterdir() if p.name != "running"]
    assert top == [part.split("/")[2]]
    found = files_below(unpulled.folder / "results")
    assert (
        {name.split("results/", 1)[-1] for name in found}
        == {
            str(file.relative_to(published.folder / "results"))
            for file in (published.folder / "results").rglob("*")
            if file.is_file() and str(file.relative_to(published.folder)).startswith(part)
        }
        != set()
    )
    assert all((published.folder / "results" / name).read_bytes() == text for name, text in found.items())


def test_beside_a_part_and_its_notes_the_rest_is_left_alone_until_it_is_asked_for(unpulled):
    for part in ("tables", "curves", "report", "claims.csv"):
        unpulled.run("dvc", "pull", f"results/mini/{part}")
    unpulled.run("dvc", "pull", "provenance")
    assert unpulled.planned() == {}
    asked = unpulled.planned("results/mini/detections/d/msvd/detections.parquet")
    assert asked["index_detections"] == 1
    assert not {"train_stage", "tabulate"} & set(asked)


def test_pseudolabels_alone_save_their_labelling_until_the_labeller_is_another(unpulled):
    """With the notes beside them they are as they were made; with what they were made from, a training reads them."""
    labels = "results/mini/pseudolabels/l/msvd/labels.parquet"
    unpulled.run("dvc", "pull", "results/mini/pseudolabels")
    unpulled.run("dvc", "pull", "provenance")
    assert unpulled.planned(labels) == {}
    for part in ("data/mini", "results/mini/releases", "results/mini/media"):
        unpulled.run("dvc", "pull", part)
    asked = unpulled.planned("results/mini/training/m/v/msvd/seed2/s/checkpoint.safetensors")
    assert asked == {"build_annotations": 1, "index_detections": 1, "index_bank": 1, "train_stage": 1}
    unpulled.edit("config.yaml", "labeller: a captioner", "labeller: another")
    assert unpulled.planned(labels) == {"index_pseudolabels": 1}


def drawn(project, *command):
    """Curve -> revision -> its points, as the pages of `dvc plots` draw them; and the template's settings."""
    said = of_dvc(project, "plots", *command)["data"]
    found = {}
    for path in (path for path in said if path.startswith("results/mini/curves/")):
        [page] = said[path]
        for point in page["content"]["data"]["values"]:
            of = found.setdefault((point["training"], point["name"], point["seed"]), {})
            of.setdefault(point["rev"], []).append((int(point["step"]), float(point["value"])))
    return found


def test_curves_of_trainings_are_drawn_and_compared(clone):
    shown = drawn(clone, "show")
    assert sorted(shown) == [("v msvd s", "train/total", seed) for seed in "12"]
    clone.edit("config.yaml", "lr: 1", "lr: 2")
    clone.snakemake()
    both = drawn(clone, "diff", "HEAD")
    assert sorted(both) == sorted(shown)
    for curve, of in both.items():
        assert of["HEAD"] == shown[curve]["workspace"] != of["workspace"]


def test_scores_and_settings_are_shown_and_compared(clone):
    shown = clone.run("dvc", "metrics", "show").stdout
    assert "values.bleu4" in shown
    config = clone.folder / "config.yaml"
    config.write_text(config.read_text().replace("lr: 1", "lr: 2"))
    clone.snakemake()
    assert "values.bleu4" in clone.run("dvc", "metrics", "diff").stdout
    assert "lr" in clone.run("dvc", "params", "diff").stdout


def test_settling_reads_no_file_when_nothing_moved(clone):
    """The stamp makes it one look at each file's times."""
    code = (
        "import time; from retake.settle import settle; settle(); time.sleep(0.06); settle(); "
        "s = settle(); print(s.hashed, s.touched)"
    )
    assert clone.run(sys.executable, "-c", code).stdout.split() == ["0", "0"]


def stages_of(file):
    return yaml.safe_load((ROOT / file).read_text())["stages"]


@pytest.mark.parametrize("file", ["dvc.yaml", "paper/dvc.yaml"])
def test_every_output_is_kept_while_its_stage_runs_and_belongs_to_one_stage(file):
    outs = [out for stage in stages_of(file).values() for out in stage["outs"]]
    assert all(settings == {"persist": True} for out in outs for settings in out.values())
    paths = [path for out in outs for path in out]
    assert len(paths) == len(set(paths))
    for a in paths:
        assert not any(a != b and b.startswith(f"{a}/") for b in paths), f"{a} holds another stage's output"


def test_the_paper_scale_keeps_manifests_and_no_media():
    outs = {path for stage in stages_of("paper/dvc.yaml").values() for out in stage["outs"] for path in out}
    assert {"results/paper/releases", "results/paper/tables", "results/paper/training"} <= outs
    assert not any(p.startswith("data/paper") and p != "data/paper/weights" for p in outs)
    assert not any("media" in p or "features" in p for p in outs)


def test_the_paper_pipeline_is_valid_once_it_is_taken_up(tiny):
    shutil.copytree(ROOT / "paper", tiny.folder / "paper")
    tiny.run("git", "init", "-q")
    assert "paper/" not in tiny.run("dvc", "stage", "list", "--all").stdout, "left out until it is wanted"
    ignored = tiny.folder / ".dvcignore"
    ignored.write_text(ignored.read_text().replace("/paper/\n", ""))
    listed = tiny.run("dvc", "stage", "list", "--all").stdout
    assert all(f"paper/dvc.yaml:{name}" in listed for name in stages_of("paper/dvc.yaml"))


def test_readme_says_what_is_run_here():
    assert [line.split()[:2] for line in PUBLISH + FETCH] == [
        ["dvc", "remote"],
        ["dvc", "commit"],
        ["dvc", "push"],
        ["dvc", "pull"],
    ]
    assert PLACE in PUBLISH[0]
    assert readme_lines("snakemake -n", "snakemake -n") == ["snakemake -n"]


def test_every_output_named_is_there_after_a_build(reference):
    named = [path for stage in stages_of("dvc.yaml").values() for out in stage["outs"] for path in out]
    assert [path for path in named if not (reference.folder / path).exists()] == []


@pytest.fixture(scope="module")
def shared(made_built, tmp_path_factory):
    """(the real project after its build and `dvc push`, a clone after `dvc pull`). Tests may edit the clone."""
    place = tmp_path_factory.mktemp("shared")
    project = Project(Path(made_built["folder"])).copied(place / "copy")
    publish(project, place / "remote")
    return project, cloned(project, place / "clone")


def test_the_real_project_goes_to_a_clone_and_is_finished_there(shared, told):
    copy, there = shared
    done = there.snakemake("-n")
    assert "Nothing to be done" in done.stdout + done.stderr
    for kept in ("tables", "training", "predictions", "report", "claims"):
        a, b = copy.folder / "results/mini" / kept, there.folder / "results/mini" / kept
        assert files_below(a) == files_below(b) != {}
    assert "up to date" in there.run("dvc", "status").stdout
    told("files that came with dvc pull", len(files_below(there.folder / "results/mini")))


def of_dvc(project, *command):
    """What a command of DVC says as JSON."""
    return json.loads(project.run("dvc", *command, "--json").stdout)


OF_A_RUN = "method variant dataset split protocol seed scale items items_of values"
OF_A_COST = "method cost kind machine values"
OF_LABELS = "labeller dataset scale clips judged_by differences gains values"
SAID = [set(names.split()) for names in (OF_A_RUN, OF_A_COST, OF_LABELS)]


def test_dvc_shows_every_score_of_the_real_project_and_nothing_else(shared):
    _, there = shared
    [shown] = of_dvc(there, "metrics", "show").values()
    written = {
        str(f.relative_to(there.folder)) for f in (there.folder / "results/mini/metrics").rglob("*.json")
    }
    assert set(shown["data"]) == written == set(map(str, metrics_of(there)))
    for path, file in shown["data"].items():
        assert set(file) == {"data"}, f"{path}: {file}"
        assert any(set(file["data"]) <= said for said in SAID)
        assert file["data"]["values"]


def metrics_of(project):
    """The metrics files that the project's own plan has, of runs, trainings, costs and labels."""
    code = (
        "import json; from retake.plan import Plan; from retake.schema.strict import read_yaml; "
        "p = Plan(read_yaml('config.yaml')); print(json.dumps([*p.every_metrics_file(), "
        "*p.every_quality_file(), *p.every_cost_file()]))"
    )
    return json.loads(project.run(sys.executable, "-c", code).stdout)


def trained_in(project):
    """(variant data set stage, seed) of every checkpoint of a project."""
    folder = project.folder / "results/mini/training"
    named = (path.relative_to(folder).parts for path in folder.rglob("checkpoint.safetensors"))
    return {(f"{variant} {dataset} {stage}", seed[4:]) for _, variant, dataset, seed, stage, _ in named}


def test_dvc_compares_scores_claims_and_settings_of_the_real_project(shared):
    _, there = shared
    files = sorted((there.folder / "results/mini/metrics").rglob("*.json"))
    file, told = next((f, t) for f in files if "variant" in (t := json.loads(f.read_text())))
    name = sorted(told["values"])[0]
    before, told["values"][name] = told["values"][name], 7.0
    file.write_text(json.dumps(told))
    moved = {"old": before, "new": 7.0, "diff": 7.0 - before}
    path = str(file.relative_to(there.folder))
    assert of_dvc(there, "metrics", "diff") == {path: {f"values.{name}": moved}}
    text = (there.folder / "config.yaml").read_text(encoding="utf-8")
    seeds = yaml.safe_load(text)["seeds"]
    there.edit("config.yaml", f"seeds: {seeds}", "seeds: [7]")
    changed = {"seeds": {"old": str(seeds), "new": "[7]"}}
    recipe = f"retake/methods/{yaml.safe_load(text)['run'][0]['method']}/recipe.yaml"
    title = yaml.safe_load((there.folder / recipe).read_text(encoding="utf-8"))["paper"]["title"]
    there.edit(recipe, f'title: "{title}"', 'title: "Another"')
    retitled = {"paper.title": {"old": title, "new": "Another"}}
    assert of_dvc(there, "params", "diff") == {"config.yaml": changed, recipe: retitled}
    curves = drawn(there, "show")
    assert {(training, seed) for training, name, seed in curves if name == "train/total"} == trained_in(there)
    there.run("dvc", "plots", "show", "--out", "drawn")
    page = (there.folder / "drawn/index.html").read_text(encoding="utf-8")
    with (there.folder / "results/mini/claims.csv").open(encoding="utf-8", newline="") as claims:
        assert all(f'"{row["id"]}"' in page for row in csv.DictReader(claims))
