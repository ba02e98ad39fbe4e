"""What a workflow and its jobs find around them, whichever way Snakemake was started."""

import gc
import os
import sys
from pathlib import Path


def prepare(basedir: str | Path) -> None:
    """Let `python` in a rule's command be the Python that runs Snakemake, and let it find the package.

    Set in the environment, which Snakemake neither records nor compares: a clone elsewhere reruns nothing.
    """
    _first("PATH", Path(sys.executable).parent)
    _first("PYTHONPATH", Path(basedir))
    # a script's own folder is not searched: `import tabulate` in torch would run scripts/tabulate.py
    os.environ["PYTHONSAFEPATH"] = "1"


def parameters_are_text() -> None:
    """Spare Snakemake the import of pandas, a fifth of a run that finds nothing to do.

    Snakemake imports it to ask whether a rule's parameter is a data frame. Ours are strings: what this leaves
    of the question is what Snakemake asks where pandas is not installed.
    """
    from snakemake.persistence import PersistenceBase

    PersistenceBase._serialize_param = property(lambda self: self._serialize_param_builtin)  # type: ignore[method-assign,assignment]


def plan_without_pauses() -> None:
    """Let Python look for garbage seldom while the graph is built: until `collect_as_usual`.

    What a plan makes stays: looking through all of it, time and again, finds next to nothing and takes a tenth of
    the time. What is imported by now is never looked through again.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


def collect_as_usual() -> None:
    """Python's own thresholds, for a process that lives as long as a run."""
    gc.set_threshold(700, 10, 10)


def _first(variable: str, folder: Path) -> None:
    rest = [p for p in os.environ.get(variable, "").split(os.pathsep) if p and p != str(folder)]
    os.environ[variable] = os.pathsep.join([str(folder), *rest])
