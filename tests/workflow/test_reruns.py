"""One edit, and the jobs that it makes due are counted: those that depend on it, all of them, no other.

The counts are those of the smallest config; what holds for every config is tested with the default one, too.
"""

import json
import os
import random
import shutil

import pytest

METHOD = "retake/methods/etenet"
RECIPE = f"{METHOD}/recipe.yaml"
PAGE = {"render_report": 1}
JUDGED = {"judge_claims": 1, "collect_claims": 1}
FROM_SCORES = {"tabulate": 3, "draw_figure": 1, **JUDGED, **PAGE}
FROM_PREDICTIONS = {"score": 6, **FROM_SCORES}
CURVES = {"tabulate_curves": 1}
FROM_DECODERS = {"train_stage": 4, **CURVES, "predict": 6, **FROM_PREDICTIONS}
FROM_FRAMES = {
    "index_media": 3,
    "pretrain_weights": 1,
    "extract_bank": 4,
    "index_bank": 2,
    **FROM_DECODERS,
}
OF_STEP_2 = {"train_stage": 2, **CURVES, "predict": 3, "score": 3, **FROM_SCORES}


# --- the recipe --------------------------------------------------------------------------------------------------


def test_a_width_trains_again_and_reads_no_video_again(copy):
    copy.edit(RECIPE, "    hidden: 128\n", "    hidden: 64\n")
    assert copy.planned() == FROM_DECODERS


def test_the_second_stages_rate_leaves_the_first_stage_alone(copy):
    copy.edit(
        RECIPE, '- {match: "decoder.*", lr: 1.0e-3, weight', '- {match: "decoder.*", lr: 2.0e-3, weight'
    )
    assert copy.planned() == OF_STEP_2


def test_the_beam_asks_the_checkpoints_again(copy):
    copy.edit(RECIPE, "  beam5: {beam: 5,", "  beam5: {beam: 4,")
    assert copy.planned() == {"predict": 4, "score": 4, **FROM_SCORES}


def test_a_view_is_extracted_again_for_the_releases_that_are_seen_through_it(copy):
    copy.edit(
        RECIPE, "    frames16: {resize: [64, 64], crop: 64}", "    frames16: {resize: [72, 72], crop: 64}"
    )
    wanted = {"extract_frames": 4, **FROM_FRAMES, "index_media": 2}
    del wanted["pretrain_weights"]
    assert copy.planned() == wanted


def test_a_tables_title_is_set_again(copy):
    copy.edit(RECIPE, 'title: "MSVD: captions of EtENet and of others"', 'title: "MSVD"')
    assert copy.planned() == {"tabulate": 1, **PAGE}


def test_a_rows_label_is_set_again(copy):
    copy.edit(RECIPE, 'label: "EtENet step 2"', 'label: "step two"')
    assert copy.planned() == {"tabulate": 3, **PAGE}


def test_a_remark_in_the_recipe_is_for_the_report_alone(copy):
    copy.add_line(RECIPE, "# a remark")
    assert copy.planned() == PAGE


def test_what_the_paper_reports_is_set_beside_ours_again(copy):
    copy.edit(f"{METHOD}/reported.csv", *_last_line_twice(copy, f"{METHOD}/reported.csv"))
    assert copy.planned() == {"tabulate": 3, **JUDGED, **PAGE}


def _last_line_twice(project, file):
    """A line of a CSV and the same line said twice: an edit that keeps it well-formed."""
    line = (project.folder / file).read_text(encoding="utf-8").splitlines()[-1]
    return f"\n{line}\n", f"\n{line}\n{line}\n"


def test_a_reworded_claim_is_judged_again(copy):
    copy.edit(f"{METHOD}/claims.csv", *_last_line_twice(copy, f"{METHOD}/claims.csv"))
    assert copy.planned() == {**JUDGED, **PAGE}


def test_another_seed_trains_that_seed_and_keeps_the_first(copy):
    copy.edit("config.yaml", "seeds: [1]", "seeds: [1, 2]")
    wanted = {
        "train_stage": 4,
        **CURVES,
        "predict": 4,
        "score": 4,
        **FROM_SCORES,
        "tabulate": 2,
    }  # one table names its seed
    del wanted["draw_figure"]  # a figure shows one seed
    assert copy.planned() == wanted


# --- code --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("retake/metrics/captioning.py", FROM_PREDICTIONS),
        ("retake/data/views.py", {"extract_frames": 5, **FROM_FRAMES}),
        ("retake/data/decoding.py", {"extract_frames": 5, **FROM_FRAMES}),
        (f"{METHOD}/beam.py", FROM_DECODERS),
        (f"{METHOD}/model.py", FROM_DECODERS),
        ("retake/report/page.py", PAGE),
        ("retake/report/curves.py", CURVES),
        ("retake/tracking/runs.py", {}),
        ("retake/plan.py", {}),
        ("retake/guard.py", None),
    ],
)
def test_one_line_in_a_module_reruns_what_runs_it(copy, module, wanted):
    copy.add_line(module)
    planned = copy.planned()
    if wanted is None:  # every job runs it
        assert sum(planned.values()) == len(list((copy.folder / "results/mini/costs").rglob("*.jsonl")))
    else:
        assert planned == wanted


def test_a_changed_module_is_named_once(copy):
    copy.add_line("retake/data/views.py")
    said = copy.snakemake("-n").stderr
    assert said.count("retake: retake/data/views.py: changed since it was used\n") == 1
    assert "changed since" not in copy.snakemake("-n").stderr


def test_one_line_in_a_parser_reruns_its_data_set_alone(copy):
    copy.add_line("retake/data/datasets/msvd/parse.py")
    of_msvd = {"build_annotations": 1, "filter_paraphrases": 1, "train_stage": 2, "predict": 4, "score": 4}
    rest = {**CURVES, "tabulate": 2, "draw_figure": 1, **JUDGED, **PAGE}
    assert copy.planned() == {**of_msvd, **rest}


# --- a release ---------------------------------------------------------------------------------------------------


def test_a_replaced_video_reads_its_shard_again_and_no_other(copy):
    replaced = _replace_a_video(copy, "msvd", "shard000")
    done = copy.snakemake("-n")
    said = done.stdout + done.stderr
    assert said.count("rule extract_frames:") == 1
    assert "media/frames16/msvd/shard000/frames.npy" in said
    assert "render_videos" not in said
    assert copy.planned() == {
        "extract_frames": 1,
        "index_media": 1,
        "extract_bank": 1,
        "index_bank": 1,
        "train_stage": 2,
        **CURVES,
        "predict": 4,
        "score": 4,
        "tabulate": 2,
        "draw_figure": 1,
        **JUDGED,
        **PAGE,
    }, f"after {replaced}"


def _replace_a_video(project, release, shard):
    """Puts one clip of a shard in another's place; returns its path."""
    manifest = json.loads((project.folder / f"results/mini/releases/{release}/{shard}.json").read_text())
    first, second = [entry["path"] for entry in manifest["files"] if entry["video_id"]][:2]
    root = project.folder / manifest["root"]
    shutil.copy(root / second, root / first)
    return first


def test_an_added_video_goes_into_one_shard(copy):
    root = copy.folder / "data/mini/msvd/YouTubeClips"
    shutil.copy(next(root.glob("*.avi")), root / "anotherClip_1_9.avi")
    planned = copy.planned()
    assert planned["extract_frames"] == 1
    assert planned["extract_bank"] == 1


# --- nothing -----------------------------------------------------------------------------------------------------


def test_other_file_times_rerun_nothing(reference, tmp_path, told):
    copy = reference.copied(tmp_path / "copy")
    draw = random.Random(0)
    for file in sorted(p for p in copy.folder.rglob("*") if p.is_file() and ".git" not in p.parts):
        when = draw.uniform(1e9, 1.7e9)
        os.utime(file, (when, when))
    assert copy.planned() == {}
    told(
        "jobs that other file times leave alone", len(list(copy.folder.glob("results/mini/costs/**/*.jsonl")))
    )


def test_a_checkout_of_another_commit_and_back_reruns_nothing(copy):
    copy.add_line("retake/metrics/captioning.py")
    copy.commit_all()
    assert copy.planned() != {}
    copy.run("git", "checkout", "-q", "HEAD~1")
    assert copy.planned() == {}, "the files are new, their content is not"


def test_an_edit_taken_back_reruns_nothing(copy):
    copy.edit(RECIPE, "    hidden: 128\n", "    hidden: 64\n")
    assert copy.planned() != {}
    copy.edit(RECIPE, "    hidden: 64\n", "    hidden: 128\n")
    assert copy.planned() == {}
