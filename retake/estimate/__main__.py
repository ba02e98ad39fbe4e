"""`python -m retake.estimate TARGET --scale paper`: days, GPU-days, disk and download, from rates that were measured.

`python -m retake.estimate --measure results/paper --machine "one H100" > rates.yaml` takes rates from the records of
jobs that ended there. What a download takes hangs on your line: `--line` tells. TARGET is a file or a rule, as one
gives it to snakemake; what is done is not counted.
"""

import argparse
import sys
from pathlib import Path

import yaml

from retake.estimate.amounts import Amounts
from retake.estimate.cost import costs_of, told
from retake.estimate.jobs import jobs_of
from retake.estimate.rates import measured, read_rates, told_line
from retake.plan import Plan
from retake.schema.strict import SettingError, read_yaml

HERE = Path(__file__).parent / "rates"  # rates that come with the project, each with its machine


def counts(words: list[str]) -> dict[str, float]:
    """clips=5e7 or howto100m.clips=5e7 as name -> number. Raises SettingError on another form."""
    found = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            raise SettingError(f"--count {word}: expected NAME=NUMBER") from None
    return found


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 1 with one line where something was not measured, or is not known."""
    parser = argparse.ArgumentParser(prog="python -m retake.estimate", description=__doc__)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--scale", choices=("mini", "paper"), default="paper")
    parser.add_argument(
        "--rates", type=Path, action="append", metavar="FILE", help="instead of the project's own"
    )
    parser.add_argument("--count", action="append", default=[], metavar="NAME=NUMBER", help="as clips=5e7")
    parser.add_argument("--line", type=float, metavar="MB_PER_S", help="what your line brings, for downloads")
    parser.add_argument("--measure", type=Path, metavar="RESULTS", help="take rates from the records there")
    parser.add_argument("--machine", help="what they were measured on")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="what its workers were")
    given = parser.parse_args(arguments)
    if (given.target is None) == (given.measure is None) or (given.measure and not given.machine):
        parser.error("expected TARGET, or --measure RESULTS with --machine")
    try:
        if given.measure is not None:
            rates = measured(given.measure, machine=given.machine, device=given.device)
            said = yaml.safe_dump({"rates": [r.model_dump(mode="python") for r in rates]}, sort_keys=False)
        else:
            files = given.rates or sorted(HERE.glob("*.yaml"))
            plan = Plan(read_yaml("config.yaml") | {"scale": given.scale})
            amounts, rates = Amounts(plan, counts(given.count)), read_rates(files)
            rates += told_line(given.line) if given.line is not None else []
            costs = costs_of(jobs_of(given.target, given.scale), rates, amounts, given.scale)
            said = told(given.target, given.scale, costs, amounts)
    except SettingError as error:
        sys.stderr.write(f"retake: {error}\n")
        return 1
    sys.stdout.write(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
