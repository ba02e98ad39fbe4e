"""Pin what this environment holds: requirements.lock, and the pins of envs/*.yaml with it (make lock).

Walks from the requirements of pyproject.toml through what is installed, so that what was tested is what is
locked. What the extras for servers need beyond that, installed in the environment's folder `services`, goes into
requirements-services.lock. Takes the digests of every published file that a CPython of 3.11 or later on Linux
x86_64 can install, from the package index that pip uses; no address of an index is written. To move a version:
install it, test, `make lock`.

    python tools/lock.py            write
    python tools/lock.py --print    only list name==version
"""

import argparse
import functools
import html.parser
import os
import re
import subprocess
import sys
import tomllib
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

LOCK = Path("requirements.lock")
SERVICES_LOCK = Path("requirements-services.lock")
SERVERS = ("slurm", "postgresql", "ssh", "kubernetes")  # extras of pyproject.toml
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
BUILDERS = ("pip", "setuptools", "wheel")  # install, and build what comes as source only
HEADER = """\
# Every package that Retake runs on, pinned by version and digest. Written by tools/lock.py, not by hand.
# For CPython 3.11 or later on Linux x86_64:  pip install --require-hashes -r requirements.lock
"""
SERVICES_HEADER = """\
# What Retake needs beyond requirements.lock to use Slurm, Kubernetes, PostgreSQL and SSH.
# Written by tools/lock.py, not by hand.
# In the environment of requirements.lock:  pip install --no-deps --require-hashes -r requirements-services.lock
"""


def environments() -> list[dict[str, str]]:
    """The marker environments that the lock must serve: this machine under each supported Python."""
    here = {k: str(v) for k, v in default_environment().items()}
    return [here | {"python_version": p, "python_full_version": f"{p}.1"} for p in PYTHONS]


def wanted(requirement: Requirement, extras: set[str]) -> bool:
    """Whether one of the supported environments asks for `requirement` when `extras` are chosen."""
    if requirement.marker is None:
        return True
    return any(
        requirement.marker.evaluate(env | {"extra": e}) for env in environments() for e in extras or {""}
    )


def closure(top: list[Requirement]) -> dict[str, set[str]]:
    """Every distribution that `top` needs -> who asks for it. Raises on one that is not installed."""
    asked_by: dict[str, set[str]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [(requirement, "pyproject.toml") for requirement in top]
    while todo:
        requirement, parent = todo.pop()
        name = canonicalize_name(requirement.name)
        asked_by.setdefault(name, set()).add(parent)
        key = (name, frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError as error:
            raise SystemExit(f"{parent} needs {requirement}, which this environment does not hold") from error
        found = [Requirement(line) for line in lines]
        todo += [(r, name) for r in found if wanted(r, {"", *requirement.extras})]
    return asked_by


class Links(html.parser.HTMLParser):
    """File name -> sha256, from a page of a simple index (PEP 503)."""

    def __init__(self) -> None:
        super().__init__()
        self.digests: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = urllib.parse.urlsplit(dict(attrs).get("href") or "") if tag == "a" else None
        if href and (digest := re.fullmatch(r"sha256=([0-9a-f]{64})", href.fragment)):
            self.digests[urllib.parse.unquote(href.path.rsplit("/", 1)[-1])] = digest[1]


@functools.cache
def index() -> str:
    """The address of the index that pip uses here."""
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    configured = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if found := os.environ.get("PIP_INDEX_URL") or configured:
        return found.rstrip("/")
    from pip._internal.models.index import PyPI

    return PyPI.simple_url


def serves(filename: str, version: str) -> bool:
    """Whether this file is of `version`, and source or a wheel for a supported CPython on Linux x86_64."""
    if not filename.endswith(".whl"):
        if not filename.endswith((".tar.gz", ".zip")):
            return False
        return str(parse_sdist_filename(filename)[1]) == version
    _, of, _, tags = parse_wheel_filename(filename)
    return str(of) == version and any(fits(t.interpreter, t.abi, t.platform) for t in tags)


def fits(interpreter: str, abi: str, platform: str) -> bool:
    """Whether one wheel tag can be installed; free-threaded builds are left out."""
    if platform != "any" and not re.fullmatch(r"(many)?linux.*_x86_64", platform):
        return False
    if interpreter.startswith("py3"):
        return True
    if not (minor := re.fullmatch(r"cp3(\d+)", interpreter)):
        return False
    return abi == "abi3" or (int(minor[1]) >= 11 and not abi.endswith("t"))


def digests(name: str, version: str) -> list[str]:
    """The sorted sha256 of every file of `name==version` that serves; raises if the index has none."""
    with urllib.request.urlopen(f"{index()}/{name}/", timeout=120) as answer:
        page = Links()
        page.feed(answer.read().decode())
    found = set()
    for filename, digest in page.digests.items():
        try:
            if serves(filename, version):
                found.add(digest)
        except ValueError:  # names from before the rules for names; never the version that is asked for
            continue
    if not found:
        raise SystemExit(f"the index lists no file with a sha256 for {name}=={version}")
    return sorted(found)


def entry(name: str, version: str, parents: set[str]) -> str:
    hashes = "".join(f" \\\n    --hash=sha256:{d}" for d in digests(name, version))
    return f"{name}=={version}{hashes}\n    # for {', '.join(sorted(parents))}\n"


def write(lock: Path, header: str, asked_by: dict[str, set[str]]) -> None:
    """Write a lock of these distributions (name -> who asks for it) at their installed versions."""
    with ThreadPoolExecutor(8) as pool:
        pins = pool.map(lambda name: entry(name, metadata.version(name), asked_by[name]), sorted(asked_by))
        lock.write_text(header + "\n" + "".join(pins))
    print(f"{lock}: {len(asked_by)} packages")


def pin_environments(versions: dict[str, str]) -> None:
    """Rewrite `name==version` in envs/*.yaml with the locked versions."""
    for file in sorted(Path("envs").glob("*.yaml")):
        text = re.sub(
            r"(- ([A-Za-z0-9._-]+)==)\S+",
            lambda found: found[1] + versions[canonicalize_name(found[2])],
            file.read_text(),
        )
        file.write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", action="store_true", dest="only_print")
    only_print = parser.parse_args().only_print

    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked_by = closure([Requirement(r) for r in [*project["dependencies"], *extras["dev"], *BUILDERS]])
    sys.path.append(str(Path(sys.prefix) / "services"))  # after the first walk: it must not lean on this
    of_servers = closure([Requirement(r) for extra in SERVERS for r in extras[extra]])
    of_servers = {name: parents for name, parents in of_servers.items() if name not in asked_by}
    versions = {name: metadata.version(name) for name in sorted(asked_by)}
    if only_print:
        for name in [*versions, *sorted(of_servers)]:
            print(f"{name}=={metadata.version(name)}")
        return
    write(LOCK, HEADER, asked_by)
    write(SERVICES_LOCK, SERVICES_HEADER, of_servers)
    pin_environments(versions)


if __name__ == "__main__":
    main()
