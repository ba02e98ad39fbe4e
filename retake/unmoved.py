"""A run that has nothing to do, known without its graph. Standard library only.

Snakemake builds the whole graph, seconds where there are hundreds of jobs, to find that nothing is to be done. It
would find the same again as long as the same is asked and no file has moved that the answer depends on. `keep`
writes down what was asked and the state of those files once a run has found or made everything; `ask`, called
before the plan is built, ends a run that asks the same while all of them are as they were.

The files are the workflow's own (rules, scripts, the package, envs, profiles, the config files), the releases', every
input and output of the graph, Snakemake's records, and MLflow's store. A state is size, times and inode: what a
write cannot leave as it was (retake.settle). Whatever is not known for certain goes the long way: options of
Snakemake other than those below, videos or folders of the user's own, a file changed while the run was under way, a
sync with MLflow that failed.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from retake import settle

FOLDER = Path(".snakemake/retake/done")
KEPT = 8  # questions that are remembered
OWN = (
    "Snakefile",
    "rules",
    "scripts",
    "retake",
    "envs",
    "profiles",
)  # of the folder that the Snakefile is in
QUIET = {"-n", "--dry-run", "--dryrun", "--nocolor"}  # change nothing about whether something is to be done
CORES = ("--cores", "-c", "--jobs", "-j")
ASKED = {"--config", "-C", "--configfile", "--configfiles", "--keep-going", "-k", "--quiet", "-q"}
STORE = "mlflow.db"

_began: dict[str, Any] = {}  # the question of this process, and the state of its files when it was asked


def question(words: list[str]) -> list[str] | None:
    """The command's words that matter, in order; None where one of them is not known here.

    Targets and values stay as they are given; how many cores there are, and whether it is a dry run, is left out.
    """
    kept, rest = [], iter(words)
    for word in rest:
        name, _, value = word.partition("=")
        if word in QUIET:
            continue
        if word in CORES:
            next(rest, None)
        elif (name in CORES[::2] and value) or (word[:2] in CORES[1::2] and word[2:].isdigit()):
            continue
        elif not word.startswith("-") or name in ASKED:
            kept.append(word)
        else:
            return None
    return kept


def ask(workflow: Any, config: dict[str, Any]) -> None:
    """Ends the process, exit status 0, where this was asked before, all was there, and nothing has moved since."""
    words = question(sys.argv[1:])
    if not workflow.is_main_process or words is None or config.get("own") or config.get("folders"):
        return
    settings = {key: value for key, value in sorted(os.environ.items()) if key.startswith("SNAKEMAKE_")}
    base = Path(workflow.basedir)
    asked = [words, settings, config, str(base) if base != Path.cwd() else ""]
    files = sources(base, [str(path) for path in workflow.configfiles])
    _began.update(
        path=FOLDER / f"{_digest(asked)}.json", files=files, data=f"data/{config.get('scale', 'mini')}"
    )
    known = settle.read_kept(_began["path"])
    if known and known == _seen(known.get("graph", {})):
        sys.stderr.write("Nothing to be done (all requested files are present and up to date).\n")
        raise SystemExit(0)


def forget() -> None:
    """Nothing is kept of this run: something is left that another has to do."""
    _began.clear()


def keep(workflow: Any, settled: settle.Settled | None, *, ran: bool) -> None:
    """Writes down that all that was asked is there. Called after a run, or a dry run, that did not fail.

    settled  what came out when file times were settled: an input changed since it was used says no; None: they
             were not
    ran      False: a dry run, after which Snakemake holds the jobs that it named for finished, too
    """
    if (
        not _began
        or settled is None
        or settled.changed
        or any(workflow.dag.needrun_jobs(exclude_finished=ran))
    ):
        return
    graph: dict[str, Any] = {}
    for job in workflow.dag.jobs:
        benchmark = [job.benchmark] if job.benchmark else []
        for path in (*job.input, *job.output, *benchmark):
            graph[str(path)] = None
    for path in graph:
        graph[path] = state_of(path)
    settle.keep(_began["path"], _seen(graph, looked=True))
    for old in sorted(FOLDER.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)[:-KEPT]:
        old.unlink(missing_ok=True)


def _seen(graph: dict[str, Any], *, looked: bool = False) -> dict[str, Any]:
    """All that the answer depends on, as it is now."""
    return {
        "files": _began["files"],  # as they were when it was asked: what was edited since has moved
        "graph": graph if looked else {path: state_of(path) for path in graph},
        "data": _digest([[path, state] for path, state in _tree(_began["data"])]),
        "records": _digest(sorted(settle.record_names(Path()).items())),
        "store": Path(STORE).exists(),
    }


def state_of(path: str) -> list[int] | None:
    """Of a file as `settle` has it; of a folder, its times and inode; None where there is neither."""
    state = settle.state_of(Path(), path)
    if state is None and os.path.isdir(path):  # noqa: PTH112 -- thousands of times
        found = os.stat(path)  # noqa: PTH116
        return [found.st_mtime_ns, found.st_ino]
    return state


def sources(base: Path, configs: list[str]) -> dict[str, list[int] | None]:
    """Path -> state of every file that the workflow itself is made of."""
    found = {path: settle.state_of(Path(), path) for path in configs}
    for name in OWN:
        found |= dict(_tree(os.path.relpath(base / name)))
    return found


def _tree(path: str) -> list[tuple[str, list[int] | None]]:
    """(path, state) of a file, or of every file under a folder but for what Python compiled; links are followed."""
    if not os.path.isdir(path):  # noqa: PTH112
        return [(path, settle.state_of(Path(), path))]
    found = []
    for folder, folders, files in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            inside = os.path.join(folder, name)  # noqa: PTH118
            found.append((inside, settle.state_of(Path(), inside)))
    return found


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:32]
