"""The mini world cannot be told by who listens to its language alone: a model that sees wins by far."""

import json

import pytest

SEEN, BLIND = (
    f"results/mini/metrics/etenet/step1/msvd/seed1/{protocol}/test.json"
    for protocol in ("beam5", "beam5_blind")
)
CONFIG = """
scale: mini
seeds: [1]
run:
  - {method: etenet, datasets: [msvd]}
mlflow: {store: none}
"""


@pytest.mark.long
def test_a_model_that_cannot_see_stays_under_half_of_the_cider(project):
    """One trained decoder at the mini world's whole size; blind, each video's place is taken by another."""
    (project.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    project.snakemake("--cores", "2", SEEN, BLIND)
    scores = [json.loads((project.folder / file).read_text(encoding="utf-8")) for file in (SEEN, BLIND)]
    seen, blind = (score["values"]["cider"] for score in scores)
    assert {score["items"] for score in scores} == {scores[0]["items_of"]}
    assert 0 < blind < seen / 2
