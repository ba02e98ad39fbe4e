"""Costs and the figures of frames in the plan: what is made, from what, and which recipes are refused."""

from copy import deepcopy

import pytest

from retake.schema.strict import SettingError

SYSTEM = {"networks": [{"network": "resnet18", "input": [3, 32, 32]}]}
TIMES = {
    "kind": "time",
    "systems": ["short", "other"],
    "size": [48, 64],
    "frames": 24,
    "pairs": 1,
    "videos": 1,
    "repeats": 1,
}
SIGNALS = {"kind": "signals", "title": "Signals", "dataset": "clips", "view": "encoded", "at": [1, 4]}
EMBEDDING = {
    "kind": "embedding", "title": "Plane", "dataset": "clips", "view": "encoded", "label": "a", "frames": 9, "grid": 4,
}  # fmt: skip
BOTH = {
    "kind": "cost_accuracy", "title": "Both", "dataset": "clips", "view": "encoded", "times": "table_4",
    "metrics": ["ms_at_once"], "scores": "table_1", "metric": "cider",
    "points": [{"label": "Ours", "input": "rgb", "times": "short", "scores": "short"}],
}  # fmt: skip
COSTS = "results/mini/metrics/costs/pulse"


@pytest.fixture
def costly(project):
    recipe = project.recipe
    recipe["views"]["encoded"] = {"kind": "stream", "size": [48, 64]}
    recipe["systems"] = {
        "short": SYSTEM | {"prepare": {"signals": ["rgb"]}},
        "other": SYSTEM | {"label": "Others'"},
    }
    recipe["costs"] = {"operations": {"kind": "operations", "systems": ["short", "other"]}, "times": TIMES}
    recipe["tables"]["table_1"]["costs"] = [{"cost": "operations", "metrics": ["gflops"]}]
    recipe["tables"]["table_4"] = {
        "title": "Times",
        "costs": [{"cost": "times", "systems": ["other"], "metrics": ["ms_at_once"]}],
    }
    recipe["figures"] = {"figure_1": SIGNALS, "figure_2": EMBEDDING, "figure_3": BOTH}
    project.recipe = deepcopy(recipe)
    return project


def test_a_table_waits_for_the_costs_that_it_tells(costly):
    plan = costly.plan()
    assert plan.tables_of("pulse") == ["table_1", "table_2", "table_4"]
    assert plan.costs_of_table("pulse", "table_1") == [f"{COSTS}/operations.json"]
    assert plan.costs_of_table("pulse", "table_2") == []
    assert plan.metrics_of_table("pulse", "table_4") == []
    assert plan.every_cost_file() == [f"{COSTS}/operations.json", f"{COSTS}/times.json"]


def test_a_cost_that_no_table_tells_is_not_made(costly):
    del costly.recipe["tables"]["table_4"], costly.recipe["figures"]["figure_3"]
    assert costly.plan().every_cost_file() == [f"{COSTS}/operations.json"]


def test_a_tables_job_names_the_systems_and_says_whose_they_are(costly):
    plan = costly.plan()
    told = plan.table_job("pulse", "table_1")
    assert told["spec"]["costs"] == [
        {"cost": "operations", "systems": ["short", "other"], "metrics": ["gflops"]}
    ]
    assert told["systems"] == {
        "short": {"label": "short", "kind": "M"},
        "other": {"label": "Others'", "kind": "B"},
    }
    assert plan.table_job("pulse", "table_4")["spec"]["rows"] == []


def test_a_costs_job_has_the_systems_that_it_measures(costly):
    job = costly.plan().cost_job("pulse", "times")
    assert list(job["systems"]) == ["short", "other"]
    assert job["systems"]["short"]["prepare"] == {"signals": ["rgb"], "flow": None}
    assert (job["spec"]["gop"], job["spec"]["repeats"]) == (12, 1)
    with pytest.raises(SettingError, match="no cost 'tims'"):
        costly.plan().cost_job("pulse", "tims")


def test_a_table_of_layers_is_told_of_parts_of_a_network(costly):
    costly.recipe["systems"]["stem"] = SYSTEM | {"label": "conv1", "parts": ["conv1"]}
    costly.recipe["costs"]["layers"] = {"kind": "parts", "systems": ["stem"]}
    costly.recipe["tables"]["table_5"] = {
        "title": "Layers", "costs": [{"cost": "layers", "metrics": ["out_channels", "out_height"]}],
    }  # fmt: skip
    plan = costly.plan()
    assert plan.cost_job("pulse", "layers")["systems"]["stem"]["parts"] == ["conv1"]
    assert plan.table_job("pulse", "table_5")["systems"] == {"stem": {"label": "conv1", "kind": "B"}}
    assert f"{COSTS}/layers.json" not in plan.timed_files()


def test_mini_changes_how_often_and_not_what(costly):
    costly.recipe["mini"]["costs"] = {"times": {"repeats": 7}}
    assert costly.plan().cost_job("pulse", "times")["spec"]["repeats"] == 7


def test_figures_of_frames_wait_for_them_and_the_frames_for_the_view(costly):
    plan = costly.plan()
    assert plan.figures_of("pulse") == ["figure_1", "figure_2", "figure_3"]
    for figure in ("figure_1", "figure_2"):
        folder = f"results/mini/media/examples/pulse/{figure}"
        assert plan.figure_job("pulse", figure)["inputs"] == {
            "examples": f"{folder}.npz",
            "frames": f"{folder}.csv",
        }
        inputs = plan.examples_job("pulse", figure)["inputs"]
        assert inputs["index"] == "results/mini/media/encoded/clips/index.parquet"
        assert inputs["annotations"] == "results/mini/annotations/clips.parquet"
        assert len(inputs["arrays"]) == 4  # streams and packets of two shards
    assert not plan.has_examples("pulse", "figure_3")
    with pytest.raises(SettingError, match="'figure_3' shows no frames of its own"):
        plan.examples_job("pulse", "figure_3")
    assert "results/mini/media/encoded/clips/index.parquet" in plan.every_media_index()


def test_a_figure_of_both_is_drawn_from_the_tables(costly):
    job = costly.plan().figure_job("pulse", "figure_3")
    assert job["inputs"]["tables"] == [f"results/mini/tables/pulse/{t}.csv" for t in ("table_4", "table_1")]
    assert job["inputs"]["media"] == ["results/mini/media/encoded/clips/index.parquet"]
    assert (job["recipe"]["size"], job["recipe"]["scale"]) == ([48, 64], "mini")


def test_a_change_of_a_title_takes_no_frames_out_anew(costly):
    before = costly.plan().examples_job("pulse", "figure_1")
    costly.recipe["figures"]["figure_1"] = SIGNALS | {"title": "Other"}
    assert costly.plan().examples_job("pulse", "figure_1") == before


def test_what_holds_times_is_known(costly):
    assert costly.plan().timed_files() == [
        f"{COSTS}/times.json",
        *(f"results/mini/tables/pulse/table_4.{end}" for end in ("csv", "md")),
        *(f"results/mini/figures/pulse/figure_3.{end}" for end in ("csv", "svg")),
    ]


def test_a_figure_of_a_data_set_that_is_not_chosen_is_left_out(costly):
    costly.recipe["means"] = {"all": ["clips", "clips"]}
    costly.recipe["figures"]["figure_3"] = BOTH | {"dataset": "all"}
    assert "figure_3" in costly.plan().figures_of("pulse")
    costly.recipe["figures"]["figure_1"] = SIGNALS | {"dataset": "clops"}
    with pytest.raises(SettingError, match=r"figures\.figure_1: no data set 'clops'"):
        costly.plan()


def test_claims_of_costs_wait_for_what_was_counted_alone(costly):
    costly.write()
    head = "id,where,statement,metric,a,b,dataset,split,protocol,direction,size,unit"
    file = costly.folder / "retake/methods/pulse/claims.csv"
    file.write_text(f"{head}\nc,T,Cheap,gflops,short,other,,,,lower,,GFLOPs\n")
    assert costly.plan().claim_costs("pulse") == [f"{COSTS}/operations.json"]
    file.write_text(f"{head}\nc,T,Good,cider,short,long,clips,test,beam5,lower,,percent\n")
    assert costly.plan().claim_costs("pulse") == []


def blocks(recipe):
    """Systems that are blocks, a counted and a timed cost of them, and a table of each."""
    recipe["systems"] |= {name: {"block": {"width": n}} for n, name in enumerate(("thin", "thick"))}
    recipe["costs"] |= {"pairs": {"kind": "pairs", "systems": ["thin", "thick"]}}
    recipe["costs"] |= {"steps": {"kind": "step", "systems": ["thick"], "repeats": 3}}
    recipe["tables"]["table_5"] = {"title": "Pairs", "costs": [{"cost": "pairs", "metrics": ["pairs"]}]}
    recipe["tables"]["table_6"] = {
        "title": "Steps",
        "costs": [{"cost": "steps", "metrics": ["ms_step", "mb_kept"]}],
    }


def test_blocks_are_counted_or_timed_by_what_the_recipe_says_of_them(costly):
    blocks(costly.recipe)
    plan = costly.plan()
    assert plan.cost_job("pulse", "pairs")["systems"]["thick"]["block"] == {"width": 1}
    assert plan.costs_of_table("pulse", "table_6") == [f"{COSTS}/steps.json"]
    assert {f"{COSTS}/steps.json", "results/mini/tables/pulse/table_6.csv"} <= set(plan.timed_files())
    assert not {f"{COSTS}/pairs.json", "results/mini/tables/pulse/table_5.csv"} & set(plan.timed_files())
    costly.write()
    head = "id,where,statement,metric,a,b,dataset,split,protocol,direction,size,unit"
    file = costly.folder / "retake/methods/pulse/claims.csv"
    file.write_text(f"{head}\nc,T,Cheap,pairs,thin,thick,,,,lower,,pairs of query and key\n")
    assert costly.plan().claim_costs("pulse") == [f"{COSTS}/pairs.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("systems", "thin", {"block": {}, "prepare": {"signals": ["rgb"]}}),
            "nothing is prepared for a block",
        ),
        (("systems", "thin", {}), "systems.thin: expected either networks or a block"),
        (("systems", "thin", SYSTEM | {"block": {"width": 1}}), "expected either networks or a block"),
        (
            ("costs", "pairs", {"kind": "pairs", "systems": ["short"]}),
            "told of a system's block; 'short' has none",
        ),
        (
            ("costs", "operations", {"kind": "operations", "systems": ["thin"]}),
            "system's networks; 'thin' has none",
        ),
    ],
)
def test_blocks_that_do_not_fit_are_refused(change, message, costly):
    blocks(costly.recipe)
    kind, name, value = change
    costly.recipe[kind][name] = value
    with pytest.raises(SettingError, match=message):
        costly.plan()


def test_bars_wait_for_scores_alone_and_are_of_a_metric(costly):
    bars = {
        "kind": "bars",
        "title": "B",
        "variants": ["short", "long"],
        "datasets": ["clips"],
        "protocol": "beam5",
    }
    costly.recipe["figures"] = {"figure_9": bars | {"metric": "cider", "split": "test"}}
    job = costly.plan().figure_job("pulse", "figure_9")
    assert [*job["inputs"]] == ["per_item"]
    items = [path for path in job["inputs"]["per_item"] if path.startswith("results/mini/items/pulse/")]
    assert items == job["inputs"]["per_item"]
    assert all(path.endswith("/beam5/test.parquet") for path in items)
    costly.recipe["figures"] = {"figure_9": bars}
    with pytest.raises(SettingError, match="metric: missing; bars are as high as one"):
        costly.plan()
    costly.recipe["figures"] = {"figure_9": bars | {"metric": "cider", "labels": {"shrt": "s"}}}
    with pytest.raises(SettingError, match="labels: 'shrt' is none of the variants"):
        costly.plan()


def put(place, value):
    def change(recipe):
        *path, last = place
        for key in path:
            recipe = recipe[key]
        recipe[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put(["costs", "operations", "systems"], ["short", "nobody"]),
            "costs.operations: no system 'nobody'",
        ),
        (
            put(["tables", "table_4", "costs"], [{"cost": "tims", "metrics": ["ms_at_once"]}]),
            "no cost 'tims'",
        ),
        (
            put(["tables", "table_4", "costs", 0, "systems"], ["nobody"]),
            "tables.table_4.costs: cost 'times' has no system 'nobody'",
        ),
        (
            put(["tables", "table_4", "costs", 0, "metrics"], ["gflops"]),
            "a cost of kind time has no 'gflops'",
        ),
        (put(["tables", "table_4"], {"title": "None"}), "expected rows, or costs, or both"),
        (put(["tables", "table_2", "rows", 0, "metrics"], ["gflops"]), "metric 'gflops' does not score task"),
        (
            put(["figures", "figure_1", "view"], "frames16"),
            "figures.figure_1.view: expected a view of kind stream",
        ),
        (put(["figures", "figure_3", "times"], "table_9"), "figures.figure_3: no table 'table_9'"),
        (put(["figures", "figure_3", "metric"], "cidr"), "figures.figure_3: no metric 'cidr'"),
        (put(["figures", "figure_1", "at"], []), "figures.figure_1"),
        (put(["figures", "figure_1", "kind"], "pie"), "figures.figure_1"),
        (put(["systems", "short", "networks", 0, "frames"], [3, 2]), "frames: 3 of 2 cannot be seen"),
        (
            put(["costs", "layers"], {"kind": "parts", "systems": ["short"]}),
            "kind parts is told of a system's parts; 'short' has none",
        ),
        (put(["systems", "short", "prepare"], {}), "expected either signals or flow"),
        (
            put(["systems", "short", "prepare"], {"signals": ["rgb"], "flow": "tvl1"}),
            "expected either signals or flow",
        ),
    ],
)
def test_recipes_that_do_not_fit_are_refused(change, message, costly):
    change(costly.recipe)
    with pytest.raises(SettingError, match=message):
        costly.plan()
