"""Figures of what tables measure in the plan: what each is drawn from, and which recipes are refused."""

from copy import deepcopy

import pytest

from retake.schema.strict import SettingError

BARS = {
    "kind": "class_bars", "title": "Bars", "dataset": "clips", "split": "test", "protocol": "beam5",
    "variants": ["short", "long"], "labels": {"long": "longer"},
}  # fmt: skip
GAINS = {
    "kind": "class_gains", "title": "Gains", "dataset": "clips", "split": "test", "protocol": "beam5",
    "gains": [
        {"label": "a", "over": "short", "variant": "long"},
        {"label": "b", "over": "short", "variant": "wide"},
    ],
}  # fmt: skip
LINE = {
    "dataset": "clips", "metric": "map", "base": "short", "protocol": "beam5", "split": "test",
    "points": [{"variant": "long", "window_s": 4}, {"variant": "wide", "window_s": 8}],
}  # fmt: skip
WINDOWS = {"kind": "windows", "title": "Windows", "lines": [LINE]}
EXAMPLES = {
    "kind": "examples_by_window", "title": "Examples", "dataset": "clips", "split": "test", "protocol": "beam5",
    "view": "encoded", "points": LINE["points"],
}  # fmt: skip
PLACE = "results/mini/{kind}/pulse/{variant}/clips/seed{seed}/beam5/test.{end}"


def paths(kind, end, *runs):
    return [PLACE.format(kind=kind, end=end, variant=variant, seed=seed) for variant, seed in runs]


@pytest.fixture
def detecting(project):
    """Three variants that answer with boxes, on both seeds of the configuration."""
    recipe = project.recipe
    recipe["task"], project.card["tasks"] = "detect", ["detect"]
    recipe["views"]["encoded"] = {"kind": "stream", "size": [48, 64]}
    rows = [
        {"variant": v, "dataset": "clips", "protocol": "beam5", "metrics": ["map"]}
        for v in ("short", "long", "wide")
    ]
    recipe["tables"] = {"table_1": {"title": "Main", "headline": True, "rows": rows}}
    recipe["figures"] = deepcopy(
        {"f_bars": BARS, "f_gains": GAINS, "f_windows": WINDOWS, "f_examples": EXAMPLES}
    )
    return project


def test_bars_and_gains_are_drawn_from_predictions_and_references(detecting):
    plan = detecting.plan()
    job = plan.figure_job("pulse", "f_bars")
    assert job["inputs"] == {
        "predictions": paths("predictions", "parquet", ("short", 1), ("short", 2), ("long", 1), ("long", 2)),
        "annotations": ["results/mini/annotations/clips.parquet"],
    }
    assert job["recipe"]["spec"]["seeds"] == [1, 2]
    asked = [(v, s) for v in ("short", "long", "wide") for s in (1, 2)]  # short, which both are over, once
    assert plan.figure_job("pulse", "f_gains")["inputs"]["predictions"] == paths(
        "predictions", "parquet", *asked
    )


def test_windows_are_drawn_from_metrics(detecting):
    job = detecting.plan().figure_job("pulse", "f_windows")
    asked = [(v, s) for v in ("short", "long", "wide") for s in (1, 2)]
    assert job["inputs"] == {"metrics": paths("metrics", "json", *asked)}
    assert job["recipe"]["spec"]["lines"][0]["points"][1] == {
        "variant": "wide", "window_s": 8.0, "protocol": None,
    }  # fmt: skip


def test_a_figure_may_have_seeds_of_its_own(detecting):
    detecting.recipe["figures"]["f_windows"]["seeds"] = [2]
    job = detecting.plan().figure_job("pulse", "f_windows")
    assert job["inputs"]["metrics"] == paths("metrics", "json", ("short", 2), ("long", 2), ("wide", 2))
    assert job["recipe"]["spec"]["seeds"] == [2]


@pytest.mark.parametrize("view", ["encoded", "frames16"])
def test_examples_wait_for_answers_of_each_window_and_for_the_view(detecting, view):
    detecting.recipe["figures"]["f_examples"]["view"] = view
    plan = detecting.plan()
    folder = "results/mini/media/examples/pulse/f_examples"
    assert plan.has_examples("pulse", "f_examples")
    assert not plan.has_examples("pulse", "f_bars")
    assert plan.figure_job("pulse", "f_examples")["inputs"] == {
        "examples": f"{folder}.npz",
        "frames": f"{folder}.csv",
    }
    job = plan.examples_job("pulse", "f_examples")
    assert job["inputs"]["predictions"] == paths("predictions", "parquet", ("long", 1), ("wide", 1))
    assert job["inputs"]["index"] == f"results/mini/media/{view}/clips/index.parquet"
    assert job["recipe"]["spec"]["view_kind"] == {"encoded": "stream", "frames16": "frames"}[view]
    assert f"results/mini/media/{view}/clips/index.parquet" in plan.every_media_index()


def test_a_change_of_a_title_takes_no_examples_out_anew(detecting):
    before = detecting.plan().examples_job("pulse", "f_examples")
    detecting.recipe["figures"]["f_examples"]["title"] = "Other"
    assert detecting.plan().examples_job("pulse", "f_examples") == before


def test_every_figure_is_checked_before_the_first_job(detecting):
    detecting.plan().check_all()
    detecting.recipe["tables"]["table_1"]["rows"].pop()
    with pytest.raises(
        SettingError, match="no table measures wide on clips, split test, protocol beam5, seed 1"
    ):
        detecting.plan().check_all()


def change(figure, **values):
    def of(recipe):
        recipe["figures"][figure] |= values

    return of


def swap(figure, key, **values):
    def of(recipe):
        recipe["figures"][figure][key][0] |= values

    return of


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (change("f_bars", variants=["shrt", "long"]), "figures.f_bars: no variant 'shrt'; did you mean 'short'"),
        (change("f_bars", variants=["short"]), "figures.f_bars.variants"),
        (change("f_bars", variants=["short", "short"]), "two different ones are compared"),
        (change("f_bars", labels={"lng": "x"}), "labels: 'lng' is none of the variants"),
        (change("f_bars", protocol="beam6"), "figures.f_bars: no protocol 'beam6'"),
        (change("f_bars", dataset="clops"), "figures.f_bars: no data set 'clops'"),
        (change("f_bars", seeds=[]), "figures.f_bars.seeds"),
        (swap("f_gains", "gains", over="long"), "over: 'long' gains nothing over itself"),
        (swap("f_windows", "lines", metric="mapp"), "no metric 'mapp'; did you mean 'map'"),
        (swap("f_windows", "lines", metric="medr"), "medr is better when it is lower"),
        (swap("f_windows", "lines", base="none"), "figures.f_windows: no variant 'none'"),
        (swap("f_windows", "lines", points=[{"variant": "long", "window_s": 0}]), "window_s"),
        (swap("f_windows", "lines", points=LINE["points"][::-1]), "windows [8.0, 4.0] do not rise"),
        (change("f_windows", lines=[LINE, LINE]), "lines: two are called 'clips'"),
        (change("f_examples", points=LINE["points"][:1]), "figures.f_examples.points"),
        (change("f_examples", points=LINE["points"][::-1]), "windows [8.0, 4.0] do not rise"),
        (change("f_examples", seeds=[1]), "the answers of one seed are shown; expected seed"),
        (change("f_examples", view="none"), "figures.f_examples: no view 'none'"),
        (change("f_examples", view="vectors"), "expected one of kind stream or frames, 'vectors' is of kind motion"),
        (change("f_examples", view="cut"), "'cut' cuts videos into clips; expected whole ones"),
    ],
)  # fmt: skip
def test_recipes_that_cannot_be_drawn_are_refused(detecting, edit, said):
    detecting.recipe["views"]["vectors"] = {"kind": "motion", "of": "encoded", "signals": ["motion"]}
    detecting.recipe["views"]["cut"] = {"kind": "frames", "count": 2, "resize": [8, 8], "chunk_s": 4.0}
    edit(detecting.recipe)
    with pytest.raises(SettingError) as error:
        detecting.plan().check_all()
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            change("f_bars", seeds=[1, 9]),
            "f_bars: no table measures short on clips, split test, protocol beam5, seed 9",
        ),
        (change("f_bars", split="train"), "f_bars: no table measures short on clips, split train"),
        (change("f_examples", seed=5), "f_examples: no table measures long on clips"),
        (swap("f_windows", "lines", metric="wap"), "f_windows: no table asks for wap of short on clips"),
    ],
)
def test_runs_that_no_table_measures_are_refused(detecting, edit, said):
    edit(detecting.recipe)
    with pytest.raises(SettingError) as error:
        detecting.plan().check_all()
    assert said in str(error.value)


def test_a_data_set_that_is_answered_without_boxes_has_no_precisions(detecting):
    detecting.recipe["task"], detecting.card["tasks"] = "classify_multi", ["classify_multi"]
    with pytest.raises(
        SettingError, match=r"figures\.f_bars\.dataset: 'clips' is answered with scores, no boxes"
    ):
        detecting.plan().check_all()
