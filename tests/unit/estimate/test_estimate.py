"""An estimate is work by measured rates, and nothing where a rate or an amount is missing."""

import json

import pytest
import yaml

from retake.estimate import __main__ as command
from retake.estimate.amounts import Amounts
from retake.estimate.cost import costs_of, told
from retake.estimate.jobs import Needed, parsed
from retake.estimate.rates import measured, rate_of, read_rates, told_line
from retake.schema.strict import SettingError

RATE = {
    "rule": "write_labels", "scale": "paper", "unit": "clip", "per_s": 10.0, "bytes_per_unit": 200.0,
    "device": "gpu", "workers": 4, "machine": "one card", "date": "2026-11-21",
    "command": "python benchmarks/labels.py",
}  # fmt: skip
SHARDS = [Needed("write_labels", {"release": "clips", "shard": f"{n:03d}"}) for n in range(40)]


def rates(folder, *changes):
    file = folder / "rates.yaml"
    file.write_text(yaml.safe_dump({"rates": [RATE | change for change in changes]}))
    return read_rates([file])


@pytest.fixture
def plan(project):
    project.config["scale"] = "paper"
    project.card["counts"] = {"videos": 1200}
    return project.plan()


def estimate(plan, folder, jobs, *changes, counts=()):
    amounts = Amounts(plan, dict(counts))
    return costs_of(jobs, rates(folder, *changes), amounts, "paper"), amounts


def test_work_by_rate_is_time_and_disk(plan, tmp_path):
    """50 million clips at ten a second are five million seconds of one card, a quarter of them on four."""
    costs, amounts = estimate(plan, tmp_path, SHARDS, {}, counts={"clips": 5e7})
    (cost,) = costs
    assert (cost.jobs, cost.units) == (40, pytest.approx(5e7))
    assert (cost.busy_s, cost.wall_s, cost.disk) == pytest.approx((5e6, 1.25e6, 1e10))
    text = told("results/paper/x", "paper", costs, amounts)
    for line in (
        "time      347.22 h = 14.47 days",
        "GPU       1,388.89 GPU-hours = 57.87 GPU-days",
        "CPU       0.00 hours",
        "disk      10.00 GB",
        "download  0.00 GB",
        "clips: 50,000,000 clips, as told",
        "shards of clips are equally large",
        "write_labels: measured on one card, 2026-11-21, by `python benchmarks/labels.py`",
    ):
        assert line in text


def test_a_part_of_the_shards_is_a_part_of_the_work(plan, tmp_path):
    (cost,), _ = estimate(plan, tmp_path, SHARDS[:10], {"unit": "video", "device": "cpu"})
    assert cost.units == pytest.approx(300)  # of the card's 1200
    (cost,), _ = estimate(plan, tmp_path, SHARDS[:2], {"unit": "job"})
    assert (cost.units, cost.wall_s) == (2, pytest.approx(0.1))  # two jobs keep two of four workers busy


def test_a_count_of_one_data_set_goes_before_one_of_all(plan, tmp_path):
    (cost,), _ = estimate(plan, tmp_path, SHARDS, {}, counts={"clips": 1, "clips.clips": 80})
    assert cost.units == pytest.approx(80)


def test_every_rule_without_a_rate_is_named_with_its_jobs(plan, tmp_path):
    jobs = [*SHARDS, Needed("index_labels"), Needed("predict"), Needed("predict")]
    with pytest.raises(SettingError, match=r"paper scale of: index_labels \(1 jobs\), predict \(2 jobs\)$"):
        estimate(plan, tmp_path, jobs, {}, counts={"clips": 1})


def test_a_rate_of_the_other_scale_is_none(tmp_path):
    assert rate_of(rates(tmp_path, {"scale": "mini"}), "write_labels", {}, "paper") is None
    assert rate_of(rates(tmp_path, {"scale": "both"}), "write_labels", {}, "paper") is not None


def test_of_rates_that_fit_the_narrower_is_taken(tmp_path):
    found = rates(
        tmp_path, {}, {"where": {"release": "clips"}, "per_s": 3.0}, {"where": {"release": "other"}}
    )
    assert rate_of(found, "write_labels", {"release": "clips", "shard": "000"}, "paper").per_s == 3.0
    assert rate_of(found, "write_labels", {"release": "third"}, "paper").per_s == 10.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"per_s": 0}, "rates.yaml: rates.*per_s"),
        ({"machine": ""}, "rates.yaml: rates.*machine"),
        ({"speed": 1}, "rates.yaml: rates.*speed: unknown key"),
        ({"date": "yesterday"}, "rates.yaml: rates.*date"),
    ],
)
def test_a_rate_says_how_where_and_when_it_was_measured(tmp_path, change, message):
    with pytest.raises(SettingError, match=message):
        rates(tmp_path, change)


def test_two_rates_of_one_thing_are_an_error(tmp_path):
    with pytest.raises(SettingError, match="a rate of write_labels stands in"):
        rates(tmp_path, {}, {"per_s": 1.0})


def test_what_is_not_known_is_named_with_the_way_to_tell_it(plan, tmp_path):
    with pytest.raises(
        SettingError, match=r"clips: clips: not on its card; give --count clips\.clips=NUMBER"
    ):
        estimate(plan, tmp_path, SHARDS, {})
    with pytest.raises(SettingError, match="a job of no release has no clips"):
        estimate(plan, tmp_path, [Needed("write_labels")], {})


# --- downloads


FETCH = {
    "rule": "download_release",
    "unit": "byte",
    "per_s": 1e6,
    "device": "cpu",
    "workers": 1,
    "bytes_per_unit": 1,
}
DOWNLOAD = [Needed("download_release", {"release": "clips"})]


def test_a_download_is_as_large_as_its_card_says_each_mirror_once(project, tmp_path):
    sources = [{"url": f"http://{host}/a", "file": "a.zip", "size": 3_000_000} for host in ("one", "two")]
    project.card["sources"] = [*sources, {"url": "http://one/b", "file": "b", "size": 1_000_000}]
    project.config["scale"] = "paper"
    costs, amounts = estimate(project.plan(), tmp_path, DOWNLOAD, FETCH)
    assert (costs[0].units, costs[0].wall_s) == (4e6, pytest.approx(4.0))
    assert "download  0.00 GB" in told("x", "paper", costs, amounts)
    with pytest.raises(SettingError, match="download_release: its rate counts jobs; expected bytes"):
        estimate(project.plan(), tmp_path, DOWNLOAD, FETCH | {"unit": "job"})


def test_a_download_of_unknown_size_is_told_or_refused(plan, tmp_path):
    with pytest.raises(
        SettingError, match=r"clips: clips\.zip: its card gives no size; give --count clips\.bytes"
    ):
        estimate(plan, tmp_path, DOWNLOAD, FETCH)
    costs, amounts = estimate(plan, tmp_path, DOWNLOAD, FETCH, counts={"clips.bytes": 5e9})
    assert "download  5.00 GB" in told("x", "paper", costs, amounts)


def test_what_cannot_be_downloaded_is_the_users_to_bring(project, tmp_path):
    project.card["access"] = "form"
    project.config["scale"] = "paper"
    costs, amounts = estimate(project.plan(), tmp_path, DOWNLOAD, FETCH)
    assert costs[0].units == 0
    assert "clips: not downloaded, you have it or bring it (access: form)" in told(
        "x", "paper", costs, amounts
    )


# --- steps


STEP = {"rule": "train_stage", "unit": "step", "per_s": 2.0, "workers": 1}
TRAIN = [Needed("train_stage", {"method": "pulse", "variant": "long", "dataset": "clips", "seed": "1", "stage": s})
         for s in ("first", "second")]  # fmt: skip


def test_steps_come_from_the_recipe(project, tmp_path):
    project.config["scale"] = "paper"
    project.recipe["stages"]["first"]["length"] = {"steps": 4000}
    (cost,), _ = estimate(project.plan(), tmp_path, TRAIN[:1], STEP)
    assert (cost.units, cost.wall_s) == (4000, 2000)
    project.config["max_steps"] = 10
    (cost,), amounts = estimate(project.plan(), tmp_path, TRAIN[:1], STEP)
    assert cost.units == 10
    assert "max_steps: 10 steps" in told("x", "paper", [cost], amounts)


def test_epochs_are_steps_where_the_rows_are_known(plan, tmp_path):
    (cost,), _ = estimate(
        plan, tmp_path, TRAIN[1:], STEP
    )  # one row of each of 1200 items, 8 a step, two epochs
    assert cost.units == 300
    with pytest.raises(SettingError, match=r"give --count clips\.train_rows=NUMBER"):
        estimate(plan, tmp_path, TRAIN, STEP)
    (cost,), _ = estimate(plan, tmp_path, TRAIN[:1], STEP, counts={"clips.train_rows": 2001})
    assert cost.units == 2 * 251


# --- Snakemake's word, and records


SAID = """Job stats:
rule is_no_job:
rule write_labels:
    input: scripts/a.py
    output: results/paper/x
    jobid: 4
    wildcards: release=clips, shard=001
    resources: tmpdir=/tmp
rule all:
    input: results/paper/x
    jobid: 0
rule index_labels:
    input: x
    output: y
    jobid: 2
"""


def test_jobs_are_read_from_a_dry_run_without_those_that_only_collect():
    said = SAID.replace("rule is_no_job:\n", "")
    assert parsed(said) == [
        Needed("write_labels", {"release": "clips", "shard": "001"}),
        Needed("index_labels"),
    ]


def test_a_target_that_snakemake_refuses_is_said_in_a_line(project, monkeypatch, capsys):
    project.write()
    (project.folder / "config.yaml").write_text(yaml.safe_dump(project.config))
    assert command.main(["results/paper/nothing"]) == 1  # there is no Snakefile here
    said = capsys.readouterr().err
    assert said.startswith("retake: results/paper/nothing: ")
    assert said.count("\n") == 1


def test_the_command_prints_what_it_found_and_refuses_in_one_line(project, tmp_path, monkeypatch, capsys):
    project.write()
    (project.folder / "config.yaml").write_text(yaml.safe_dump(project.config))
    monkeypatch.setattr(command, "jobs_of", lambda target, scale: SHARDS)
    rates(tmp_path, {})
    words = ["results/paper/x", "--rates", str(tmp_path / "rates.yaml")]
    assert command.main(words) == 1
    assert capsys.readouterr().err == (
        "retake: clips: clips: not on its card; give --count clips.clips=NUMBER\n"
    )
    assert command.main([*words, "--count", "clips=5e7"]) == 0
    assert "57.87 GPU-days" in capsys.readouterr().out
    assert command.main(words[:1]) == 1
    assert "no rate was measured at paper scale of: write_labels (40 jobs)" in capsys.readouterr().err
    assert command.main([*words, "--count", "clips=many"]) == 1
    assert "expected NAME=NUMBER" in capsys.readouterr().err


def wrote(path, rule, wall_s, outputs, points=(), status="finished"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [{"kind": "job", "rule": rule, "outputs": outputs, "started": "2026-11-20T10:00:00Z"}]
    lines += [{"kind": "metric", "name": "train/total", "value": 1.0, "step": step} for step in points]
    lines += [{"kind": "end", "status": status, "wall_s": wall_s}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_rates_are_taken_from_the_records_of_jobs_that_ended_well(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results/paper"
    for shard, wall_s in (("0", 3.0), ("1", 5.0)):
        (tmp_path / f"out{shard}").write_bytes(b"x" * 100)
        wrote(results / f"records/index/{shard}.jsonl", "index", wall_s, [f"out{shard}"])
    wrote(results / "records/index/2.jsonl", "index", 100.0, [], status="failed")
    wrote(results / "training/a/record.jsonl", "train_stage", 20.0, ["gone"], points=(20, 50))
    found = {rate.rule: rate for rate in measured(results, machine="two cores", device="cpu")}
    assert (found["index"].unit, found["index"].per_s, found["index"].bytes_per_unit) == ("job", 0.25, 100.0)
    assert (found["train_stage"].unit, found["train_stage"].per_s) == ("step", 2.5)
    assert {rate.scale for rate in found.values()} == {"paper"}
    assert command.main(["--measure", str(results), "--machine", "two cores"]) == 0
    (tmp_path / "rates.yaml").write_text(capsys.readouterr().out)
    assert read_rates([tmp_path / "rates.yaml"]) == list(found.values())


def test_without_a_record_there_is_no_rate(tmp_path):
    with pytest.raises(SettingError, match="no record of a job that ended"):
        measured(tmp_path / "results/mini", machine="m", device="cpu")
    with pytest.raises(SettingError, match="expected results/mini or results/paper"):
        measured(tmp_path, machine="m", device="cpu")


# --- a line, and rules of tokenizers


def test_a_line_that_is_told_is_what_downloads_take_and_is_not_called_measured(project, tmp_path, capsys):
    project.card["sources"] = [{"url": "http://one/b", "file": "b", "size": 50_000_000}]
    project.config["scale"] = "paper"
    amounts = Amounts(project.plan(), {})
    costs = costs_of(DOWNLOAD, told_line(12.5), amounts, "paper")
    assert costs[0].wall_s == pytest.approx(4.0)
    text = told("x", "paper", costs, amounts)
    assert "  download_release: as told by --line 12.5\n" in text
    assert "measured" not in text
    assert {rate.rule for rate in told_line(1)} == {"download_release", "fetch_weights"}
    for wrong in (0, -1, float("nan")):
        with pytest.raises(SettingError, match="expected megabytes a second, above 0"):
            told_line(wrong)


def test_a_line_stands_for_no_rate_of_work(plan):
    with pytest.raises(
        SettingError, match=r"no rate was measured at paper scale of: write_labels \(40 jobs\)"
    ):
        costs_of(SHARDS, told_line(10), Amounts(plan, {"clips": 1}), "paper")


def test_a_file_says_when_it_was_measured(tmp_path):
    with pytest.raises(SettingError, match="write_labels: expected the day of the measurement"):
        rates(tmp_path, {"date": None})


def test_rules_that_differ_in_a_tokenizers_files_are_one():
    said = SAID.split("rule all")[1].replace("index_labels", "fetch_weights_wordpiece")
    assert parsed(said)[-1] == Needed("fetch_weights")
    assert parsed(said.replace("wordpiece", "bpe"))[-1] == Needed("fetch_weights")


def test_rates_that_come_with_the_project_say_where_they_were_measured():
    files = sorted(command.HERE.glob("*.yaml"))
    assert files
    found = read_rates(files)
    assert {rate.rule for rate in found} >= {"write_pseudolabels", "index_release", "index_pseudolabels"}
    assert all(rate.machine and rate.date for rate in found)
