"""The plan says no in one line, and knows what each job reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from retake.plan import one_of
from retake.schema.strict import SettingError

RUN = {"method": "pulse", "variant": "long", "dataset": "clips", "seed": 1}


def says(project, *words):
    with pytest.raises(SettingError) as caught:
        project.plan()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_plan_of_the_invented_project_stands(project):
    plan = project.plan()
    assert plan.table_paths() == [
        "results/mini/tables/pulse/table_1.csv",
        "results/mini/tables/pulse/table_2.csv",
    ]
    assert plan.table_paths(headline=True) == ["results/mini/tables/pulse/table_1.csv"]
    assert plan.made == ["clips"]
    assert plan.fetched == []


def test_a_misspelt_key_of_the_config_is_named_with_its_like(project):
    project.config["sedes"] = [1]
    says(project, "config.yaml", "sedes", "did you mean 'seeds'?")


def test_an_unknown_method_is_named(project):
    project.config["run"][0]["method"] = "puls"
    says(project, "config.yaml: run:", "no method 'puls'", "did you mean 'pulse'?")


def test_an_unknown_data_set_is_named(project):
    project.config["run"][0]["datasets"] = ["clip"]
    says(project, "no data set 'clip'", "did you mean 'clips'?")


def test_a_misspelt_size_is_held_against_the_builder(project):
    project.recipe["model"]["widht"] = 3
    says(project, "recipe.yaml", "model.widht", "did you mean 'width'?")


def test_a_misspelt_size_in_the_mini_part_is_found_at_paper_scale_too(project):
    project.recipe["mini"]["model"]["widht"] = 3
    project.config["scale"] = "paper"
    says(project, "recipe.yaml", "mini.model.widht", "did you mean 'width'?")


def test_a_missing_size_is_named(project):
    del project.recipe["model"]["dropout"]
    says(project, "size 'dropout' is missing")


def test_a_size_changed_by_a_stage_or_a_variant_is_checked_too(project):
    project.recipe["stages"]["first"]["model"] = {"height": 1}
    says(project, "stages.first.model.height")


def test_a_variant_cannot_set_what_is_no_part_of_training(project):
    project.recipe["variants"]["wide"]["set"] = {"tables": {}}
    says(project, "variants.wide.set", "'tables' cannot be set")


def test_a_misspelt_key_in_the_mini_part_is_found(project):
    project.recipe["mini"]["views"]["frames16"]["sise"] = 3
    says(project, "recipe.yaml: mini.", "sise")


def test_an_unknown_metric_is_named(project):
    project.recipe["tables"]["table_1"]["rows"][0]["metrics"] = ["ciderr"]
    says(project, "no metric 'ciderr'", "did you mean 'cider'?")


def test_a_metric_of_another_task_is_an_impossible_combination(project):
    project.recipe["tables"]["table_1"]["rows"][0]["metrics"] = ["top1"]
    says(project, "metric 'top1' does not score task 'caption'")


def test_a_data_set_without_the_methods_task_is_an_impossible_combination(project):
    project.card["tasks"] = ["classify"]
    says(project, "config.yaml: run: pulse", "'clips'", "'caption'")


def test_a_variant_that_both_trains_and_fuses_is_refused(project):
    project.recipe["variants"]["both"]["stages"] = ["first"]
    says(project, "variants.both", "either stages")


def test_bases_in_a_circle_are_refused(project):
    project.recipe["variants"]["long"] = {"base": "wide"}
    says(project, "circle")


def test_a_batch_that_does_not_divide_is_refused(project):
    project.recipe["stages"]["first"]["batch"]["at_once"] = 3
    says(project, "effective 8 is no multiple of at_once 3")


def test_a_key_that_stands_twice_is_refused(project):
    project.write()
    path = Path("retake/methods/pulse/recipe.yaml")
    path.write_text(path.read_text() + "\ntask: caption\n")
    from retake.plan import Plan

    with pytest.raises(SettingError, match="key 'task' stands twice"):
        Plan(project.config)


def test_a_builder_with_a_default_is_refused(project):
    project.model = "def build(*, width=3, dropout, vocabulary):\n    pass\n"
    says(project, "model.py", "without a default")


def test_an_unknown_table_on_the_command_line_is_named_with_its_like(project):
    plan = project.plan()
    with pytest.raises(SettingError, match=r"no table 'tabel_1' of pulse here; did you mean 'table_1'\?"):
        plan.check_targets(["results/mini/tables/pulse/tabel_1.csv"])
    plan.check_targets(["results/mini/tables/pulse/table_1.csv", "all", "-n"])


def test_a_target_of_the_other_scale_is_named(project):
    with pytest.raises(SettingError, match="the scale is mini"):
        project.plan().check_targets(["results/paper/tables/pulse/table_1.csv"])


def test_captions_without_a_checkpoint_name_the_ways_to_get_one(project):
    plan = project.plan()
    target = "results/mini/captions/clips/pulse/long/clips/seed1/beam5.jsonl"
    with pytest.raises(
        SettingError, match=r"dvc pull .*second`? or train it with `snakemake results/mini/training"
    ):
        plan.check_targets([target])


def test_a_fused_variant_names_those_that_have_a_checkpoint(project):
    run = RUN | {"variant": "both"}
    with pytest.raises(SettingError, match=r"variants\.both: is fused .* answered by short, long"):
        project.plan().caption_job(run, "beam5", "clips")


@pytest.mark.parametrize(
    "rest",
    [
        "clips",
        "clips/pulse/long/clips/seed1.jsonl",
        "clips/pulse/long/clips/1/beam5.csv",
        "a/b/c/d/seed1/e.txt",
    ],
)
def test_a_caption_file_that_is_named_wrongly_is_told_the_form(project, rest):
    with pytest.raises(SettingError, match=r"expected results/mini/captions/<videos>/<method>/.*\.jsonl, or"):
        project.plan().check_targets([f"results/mini/captions/{rest}"])


def test_captions_take_the_checkpoint_as_a_value_and_not_as_an_input(project):
    plan = project.plan()
    path = Path(plan.trainings.checkpoint(RUN, "second"))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    job = plan.caption_job(RUN, "beam5", "clips")
    assert "checkpoint" not in job["inputs"]
    assert job["recipe"]["checkpoint_sha256"].startswith("ba7816bf")


def test_the_mini_part_is_laid_over_the_recipe_at_mini_scale_only(project):
    assert project.plan().trainings.job(RUN, "first")["recipe"]["model"] == {"width": 8, "dropout": 0.3}
    project.config["scale"] = "paper"
    plan = project.plan()
    assert plan.trainings.job(RUN, "first")["recipe"]["model"]["width"] == 512
    assert plan.views["frames16"]["crop"] == 299
    assert plan.results == "results/paper"


def test_equal_stages_share_one_checkpoint_and_different_ones_do_not(project):
    trainings = project.plan().trainings
    short, long = RUN | {"variant": "short"}, RUN
    assert trainings.checkpoint(long, "first") == trainings.checkpoint(short, "first")
    assert "/short/" in trainings.checkpoint(long, "first")
    assert trainings.checkpoint(RUN | {"variant": "wide"}, "first") != trainings.checkpoint(short, "first")


def test_a_stage_that_never_sees_the_target_is_trained_once_for_all(project):
    project.recipe["stages"]["first"]["data"] = [{"dataset": "clips", "view": "frames16"}]
    trainings = project.plan().trainings
    assert trainings.owner("pulse", "long", "first", "other")[2] == "clips"
    assert trainings.owner("pulse", "long", "second", "other")[2] == "other"


def test_a_stage_goes_on_from_the_one_before(project):
    job = project.plan().trainings.job(RUN, "second")
    first = "results/mini/training/pulse/short/clips/seed1/first/checkpoint.safetensors"
    assert job["inputs"]["start"] == [first]
    assert job["recipe"]["start"] == [{"checkpoint": first, "into": "", "leave_out": []}]


def test_a_job_reads_the_shards_of_its_view(project):
    inputs = project.plan().trainings.job(RUN, "first")["inputs"]
    assert inputs["arrays"] == [f"results/mini/media/frames16/clips/shard00{n}/frames.npy" for n in (0, 1)]
    assert inputs["index"] == ["results/mini/media/frames16/clips/index.parquet"]


def test_max_len_is_resolved_for_the_data_set(project):
    plan = project.plan()
    assert plan.predict_job(RUN, "beam5", "test")["recipe"]["protocol"]["max_len"] == 30
    del project.recipe["protocols"]["beam5"]["max_len"]["clips"]
    assert project.plan().predict_job(RUN, "beam5", "test")["recipe"]["protocol"]["max_len"] == 20


def test_a_fusion_reads_its_parts(project):
    job = project.plan().fuse_job(RUN | {"variant": "both"}, "beam5", "test")
    assert [p.split("/")[4] for p in job["inputs"]["parts"]] == ["short", "long"]
    assert job["recipe"]["weights"] == [1.0, 2.0]


def test_a_run_is_scored_once_with_the_metrics_of_all_tables(project):
    project.recipe["tables"]["table_2"]["rows"][0]["variant"] = "long"
    project.recipe["tables"]["table_2"]["seeds"] = None
    assert project.plan().score_job(RUN, "beam5", "test")["recipe"]["metrics"] == ["bleu4", "cider"]


@pytest.mark.parametrize(
    ("task", "metric", "needs"),
    [
        ("caption", "cider", False),
        ("caption", "facts_motion", True),
        ("detect", "map", False),
        ("detect", "ap_far5", True),
    ],
)
def test_what_a_kind_of_evidence_tells_is_scored_with_the_release_s_truth(project, task, metric, needs):
    project.recipe["task"], project.card["tasks"] = task, [task]
    for table in project.recipe["tables"].values():
        for row in table["rows"]:
            row["metrics"] = [metric]
    inputs = project.plan().score_job(RUN, "beam5", "test")["inputs"]
    assert inputs.get("truth") == ("results/mini/releases/clips/truth.parquet" if needs else None)


def test_a_table_of_its_own_seeds_asks_for_no_others(project):
    paths = project.plan().metrics_of_table("pulse", "table_2")
    assert paths == ["results/mini/metrics/pulse/wide/clips/seed7/beam5/test.json"]


def test_the_mini_size_scales_every_split_but_leaves_some(project):
    project.config["mini_size"] = 0.1
    assert project.plan().splits("clips") == {"train": 4, "test": 4}
    assert len(project.plan().shards("clips")) == 2
    project.config["mini_size"] = 10
    assert project.plan().splits("clips") == {"train": 400, "test": 200}
    assert len(project.plan().shards("clips")) == 20


def test_views_of_one_name_must_agree(project):
    project.write()
    other = project.folder / "retake/methods/other"
    other.mkdir()
    for name in ("recipe.yaml", "model.py"):
        (other / name).write_text((project.folder / "retake/methods/pulse" / name).read_text())
    recipe = other / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("count: 16", "count: 8"))
    project.config["run"].append({"method": "other", "datasets": ["clips"]})
    says(project, "other", "views.frames16", "pulse")


def test_no_path_that_reaches_snakemake_is_absolute(project):
    plan = project.plan()
    jobs = [
        plan.trainings.job(RUN, "second"),
        plan.predict_job(RUN, "beam5", "test"),
        plan.release_job("clips"),
    ]
    assert str(project.folder) not in repr(jobs)


def test_a_constraint_of_no_names_matches_nothing():
    import re

    assert not re.fullmatch(one_of([]), "")
    assert not re.fullmatch(one_of([]), "x")
    assert re.fullmatch(one_of({"a", "b"}), "b")


def test_planning_imports_neither_torch_nor_pandas_nor_numpy():
    code = "import retake.plan, sys; print({'torch', 'pandas', 'numpy', 'pyarrow'} & sys.modules.keys())"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_misspelt_option_of_the_mini_world_is_named(project):
    project.card["mini"]["options"] = {"caption_per_video": 3}
    says(project, "card.yaml: mini.options.caption_per_video", "did you mean 'captions_per_video'?")
    project.card["mini"]["options"] = {}
    project.config["mini_world"] = {"sede": 3}
    says(project, "config.yaml: mini_world.sede", "did you mean 'seed'?")


def test_an_option_of_the_config_is_laid_over_the_releases_that_know_it(project):
    project.config["mini_world"] = {"seed": 3}
    assert project.plan().release_job("clips")["options"] == {"captions_per_video": 3, "seed": 3}


def test_a_misspelt_key_explains_the_one_that_is_missing(project):
    project.config["own"] = {"video": "films"}
    says(project, "config.yaml: own.video", "did you mean 'videos'?")


def test_a_value_where_keys_belong_names_the_keys(project):
    project.config["own"] = "films"
    says(project, "config.yaml: own: expected a mapping with videos, captions", "'films'")


def test_a_folder_of_ones_own_that_is_not_there_is_said_before_any_job(project):
    project.config["own"] = {"videos": "films", "captions": "table.csv"}
    says(project, "config.yaml: own.videos: films is no folder")
    (project.folder / "films").mkdir()
    says(project, "config.yaml: own.captions: table.csv is no file")


def readings(project):
    """Two folds of the invented release, one with a parser of its own."""
    project.card["tasks"] = []
    project.write()
    datasets = project.folder / "retake/data/datasets"
    (datasets / "clips/parse.py").write_text("")
    for fold in (1, 2):
        (datasets / f"clips_{fold}").mkdir(exist_ok=True)
        card = f"release: clips\nfold: {fold}\ntitle: Fold {fold}\ntasks: [caption]\n"
        (datasets / f"clips_{fold}/card.yaml").write_text(card)
    (datasets / "clips_2/parse.py").write_text("")
    project.config["run"][0]["datasets"] = ["clips_1", "clips_2"]


def test_folds_of_a_release_share_its_videos_and_its_parser(project):
    readings(project)
    plan = project.plan()
    assert plan.releases == ["clips"]
    assert plan.datasets == ["clips_1", "clips_2"]
    assert plan.parser("clips_1") == "retake/data/datasets/clips/parse.py"
    assert plan.parser("clips_2") == "retake/data/datasets/clips_2/parse.py"
    jobs = [plan.annotations_job(f"clips_{fold}") for fold in (1, 2)]
    assert [job["card"]["fold"] for job in jobs] == [1, 2]
    assert {job["root"] for job in jobs} == {"data/mini/clips"}
    assert plan.splits("clips_1") == {"train": 40, "test": 20}
    run = RUN | {"dataset": "clips_2"}
    inputs = plan.trainings.job(run, "first")["inputs"]
    assert inputs["annotations"] == ["results/mini/annotations/clips_2.parquet"]
    assert inputs["index"] == ["results/mini/media/frames16/clips/index.parquet"]


def test_a_release_that_is_no_data_set_names_its_readings(project):
    readings(project)
    project.config["run"][0]["datasets"] = ["clips"]
    says(project, "config.yaml: run: pulse: 'clips' is a release, no data set; have clips_1, clips_2")
    project.config["run"][0]["datasets"] = ["clips_1"]
    project.recipe["stages"]["first"]["data"] = [{"dataset": "clips", "view": "frames16"}]
    says(project, "recipe.yaml: stages.first.data: 'clips' is a release", "clips_1, clips_2")


def test_the_classes_of_ones_own_videos_are_counted_in_their_table(project):
    Path("films").mkdir()
    Path("table.csv").write_text(
        "video,split,label\na,train,run\nb,test,wave\nc,test,run\n", encoding="utf-8"
    )
    project.config["own"] = {"videos": "films", "labels": "table.csv"}
    assert project.plan().own_classes() == 2
    project.config["own"] = {"videos": "films", "captions": "table.csv"}
    assert project.plan().own_classes() is None
    project.config["own"] = {"videos": "films", "captions": "table.csv", "labels": "table.csv"}
    says(project, "config.yaml: own", "expected captions or labels, found both")
