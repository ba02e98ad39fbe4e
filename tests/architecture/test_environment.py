"""One set of pins: pyproject.toml asks, requirements.lock answers, envs/*.yaml and this environment agree."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENVIRONMENTS = sorted(Path("envs").glob("*.yaml"))
PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OF_SERVERS = [Requirement(r) for extra, asked in EXTRAS.items() if extra != "dev" for r in asked]
ASKED = [Requirement(r) for r in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]]


def locked(lock: str) -> dict[str, str]:
    """Name -> version of every entry."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.M))


def lock_problems(lock: str) -> list[str]:
    """Lines that are neither a pin, a digest nor a comment; and pins without a digest."""
    form = re.compile(r"#.*|    # .*|    --hash=sha256:[0-9a-f]{64}( \\)?|[a-z0-9-]+==[\w.+!]+ \\|")
    odd = [line for line in lock.splitlines() if not form.fullmatch(line)]
    bare = [m[1] for m in re.finditer(r"^([a-z0-9-]+)==.*\n(?!    --hash)", lock, re.M)]
    return odd + bare


def answers(asked: list[Requirement], pins: dict[str, str]) -> list[str]:
    """Requirements that the pins leave open or break."""
    return [str(r) for r in asked if not r.specifier.contains(pins.get(canonicalize_name(r.name), "0"))]


def pins_of(environment: str) -> dict[str, str]:
    """Name -> version of the pip part of a conda environment; raises on a line without a pin."""
    parts = [p for p in yaml.safe_load(environment)["dependencies"] if isinstance(p, dict)]
    return dict(pin.split("==", 1) for part in parts for pin in part["pip"])


LOCK = Path("requirements.lock").read_text()
SERVICES_LOCK = Path("requirements-services.lock").read_text()


def test_the_lock_holds_pins_and_digests_only():
    assert lock_problems(LOCK) == []
    assert len(locked(LOCK)) > 100


def test_the_lock_answers_pyproject():
    assert answers(ASKED, locked(LOCK)) == []


def test_the_lock_for_servers_holds_what_their_extras_ask_for_and_nothing_twice():
    assert lock_problems(SERVICES_LOCK) == []
    assert answers(OF_SERVERS, locked(SERVICES_LOCK)) == []
    assert {canonicalize_name(r.name) for r in OF_SERVERS} <= locked(SERVICES_LOCK).keys()
    assert locked(SERVICES_LOCK).keys() & locked(LOCK).keys() == set()


def test_the_tests_run_on_what_is_locked():
    pins = locked(LOCK)
    found = {name: metadata.version(name) for name in pins if name not in {"pip", "setuptools", "wheel"}}
    assert found == {name: pins[name] for name in found}


def test_the_environments_are_the_ones_meant():
    assert [f.stem for f in ENVIRONMENTS] == ["costs", "data", "media", "report", "torch"]


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda f: f.stem)
def test_an_environment_carries_the_locked_pins(file):
    pins = pins_of(file.read_text())
    assert pins == {name: locked(LOCK)[name] for name in pins}
    asked = {canonicalize_name(r.name) for r in ASKED}
    assert set(pins) <= asked, "an environment lists what pyproject.toml does not ask for"


@pytest.mark.parametrize("file", ENVIRONMENTS, ids=lambda f: f.stem)
def test_an_environment_has_the_python_that_pyproject_asks_for(file):
    (line,) = [p for p in yaml.safe_load(file.read_text())["dependencies"] if str(p).startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(line.split("=")[1])


def test_every_direct_package_of_the_jobs_is_in_an_environment():
    held = {name for file in ENVIRONMENTS for name in pins_of(file.read_text())}
    workflow = {
        "snakemake",
        "dvc",
        "mlflow",
        *(r.split("==")[0] for r in PROJECT["optional-dependencies"]["dev"]),
    }
    assert {canonicalize_name(Requirement(r).name) for r in PROJECT["dependencies"]} - held == workflow - {
        *PROJECT["optional-dependencies"]["dev"]
    }


def test_a_bad_lock_is_found():
    assert lock_problems("a==1\n") == ["a==1", "a"]
    assert lock_problems("--index-url somewhere\n") == ["--index-url somewhere"]
    assert answers([Requirement("a>=2"), Requirement("b")], {"a": "1", "b": "1"}) == ["a>=2"]
    assert answers([Requirement("a>=2")], {}) == ["a>=2"]
