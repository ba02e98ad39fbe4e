"""Write the golden loss curve of a method: ten steps of each stage at mini sizes, on two clips and a fixed
seed.

python -m tests.golden.write METHOD     writes tests/golden/METHOD.csv
Write it again only where a change is meant to change what is learnt.
"""

import csv
import sys
import tempfile
from pathlib import Path

import torch

STEPS = 10


def curve(method: str, folder: Path) -> list[tuple[str, int, float]]:
    """(stage, step, total loss of the batch before the step) for every stage of the method's recipe."""
    from tests.contracts.test_every_method import METHODS, Case, load_recipe

    torch.set_num_threads(1)
    rows = []
    for stage in load_recipe(METHODS[method], "mini").stages:
        case = Case(method, stage, folder / stage if (folder / stage).mkdir() is None else folder)
        model = case.model().eval()  # no dropout: its numbers differ between versions
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        for step in range(STEPS):
            optimiser.zero_grad()
            loss = model.losses(case.batch())["total"]
            loss.backward()
            optimiser.step()
            rows.append((stage, step, loss.item()))
    return rows


if __name__ == "__main__":
    target = Path("tests/golden") / f"{sys.argv[1]}.csv"
    with tempfile.TemporaryDirectory() as scratch, target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stage", "step", "loss"])
        writer.writerows(
            (stage, step, f"{loss:.6f}") for stage, step, loss in curve(sys.argv[1], Path(scratch))
        )
