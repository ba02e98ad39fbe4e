"""What may stand in no file: a path of one machine, a registry's host, a call that runs code from data."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import files, text

# Spelt in halves, so that this file does not hold what it looks for.
HALVES = [("pypi", r"\.org"), ("python", "hosted"), ("registry", r"\.npmjs"), ("deb", r"\.debian\.org")]
HOSTS = re.compile("|".join(a + b for a, b in HALVES))
MACHINE = re.compile(r"(?<![\w.<>}/:-])/(home|Users|root|work|mnt|opt|srv|private)/")
# a quoted absolute path in a rule, config or card; /dev, /proc and /sys are the system's own names
ABSOLUTE = re.compile(r"""["']/(?!dev/|proc/|sys/)[A-Za-z][\w.-]*/""")
CODE_FROM_DATA = re.compile(
    r"torch\.load\(|\bimport pickle|\bfrom pickle|pickle\.load|\byaml\.load\(|allow_pickle=True|"
    r"(?<![.\w])eval\(|(?<![.\w])exec\(|read_pickle|joblib\.load|trust_remote_code=True"
)
TEXTS = files(
    ".py",
    ".smk",
    ".yaml",
    ".yml",
    ".md",
    ".toml",
    ".cff",
    ".csv",
    ".lock",
    ".rst",
    "Snakefile",
    "Makefile",
    "run",
)
WORKFLOW = [f for f in files(".smk", ".yaml", "Snakefile") if f.parts[0] != "tests"]
CODE = [f for f in files(".py", ".smk", "Snakefile") if f.parts[0] != "tests"]


def lines_with(pattern: re.Pattern, source: str) -> list[str]:
    return [line.strip()[:120] for line in source.splitlines() if pattern.search(line)]


def test_no_registry_is_named():
    assert {str(f): found for f in TEXTS if (found := lines_with(HOSTS, text(f)))} == {}


def test_no_path_of_one_machine_is_named():
    assert {str(f): found for f in TEXTS if (found := lines_with(MACHINE, text(f)))} == {}


def test_no_absolute_path_reaches_the_workflow():
    assert {str(f): found for f in WORKFLOW if (found := lines_with(ABSOLUTE, text(f)))} == {}


UNPICKLED = Path(
    "retake/data/unpickled.py"
)  # reads pickles by torch's restricted unpickler and one of ours alone


def test_nothing_runs_code_from_what_it_reads():
    found = {f: lines for f in CODE if (lines := lines_with(CODE_FROM_DATA, text(f)))}
    assert found.keys() == {UNPICKLED}
    calls = re.findall(r"torch\.load\([^)]*", text(UNPICKLED))
    assert len(calls) == 1
    assert "weights_only=True" in calls[0]
    assert set(re.findall(r"pickle\.(\w+)", text(UNPICKLED))) == {"UnpicklingError", "Unpickler"}
    (ours,) = re.findall(
        r"^class (\w+)\(pickle\.Unpickler\):.*\n(?: {4}.*\n|\n)*? {4}def find_class", text(UNPICKLED), re.M
    )
    assert text(UNPICKLED).count("pickle.Unpickler") == 1
    assert text(UNPICKLED).count(f"{ours}(") == 2  # the class, and where it is used


def test_git_holds_no_large_file():
    assert [str(f) for f in files() if f.stat().st_size > 1_000_000] == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (HOSTS, "--index-url https://pypi" + ".org/simple"),
        (MACHINE, "data: " + "/home" + "/someone/videos"),
        (ABSOLUTE, 'input: "' + '/scratch/x.npy"'),
        (CODE_FROM_DATA, "state = torch" + ".load(path)"),
        (CODE_FROM_DATA, "np.load(path, allow" + "_pickle=True)"),
        (CODE_FROM_DATA, "x = " + "eval(text)"),
    ],
)
def test_each_pattern_finds_its_case(pattern, line):
    assert lines_with(pattern, line)


@pytest.mark.parametrize(
    "line", ["model.eval()", "results/home/x", "https://host/home/x", "def evaluate(x):"]
)
def test_no_pattern_cries_wolf(line):
    assert not any(lines_with(p, line) for p in (HOSTS, MACHINE, ABSOLUTE, CODE_FROM_DATA))
