"""Which jobs a target needs that are not done: asked of Snakemake, whose dry run knows."""

import re
import subprocess
import sys
from dataclasses import dataclass, field

from retake.schema.card import TOKENIZERS
from retake.schema.strict import SettingError

JOB = re.compile(r"^(?:local)?rule (\w+):$")
WILDCARDS = re.compile(r"^    wildcards: (.+)$")


@dataclass(frozen=True)
class Needed:
    """One job of the graph."""

    rule: str
    wildcards: dict[str, str] = field(default_factory=dict)


def jobs_of(target: str, scale: str) -> list[Needed]:
    """The jobs of a dry run. Raises SettingError with Snakemake's last line where it refuses the target."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--nocolor",
        target,
        "--config",
        f"scale={scale}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        last = [line for line in said.splitlines() if line.strip()][-1:]
        raise SettingError(f"{target}: {last[0].strip() if last else 'snakemake refused it'}")
    return parsed(said)


def _without_tokenizer(rule: str) -> str:
    end = next((f"_{kind}" for kind in TOKENIZERS if rule.endswith(f"_{kind}")), "")
    return rule.removesuffix(end)


def parsed(said: str) -> list[Needed]:
    """The jobs that a dry run lists; those that only collect (no output of their own) are left out.

    Rules that differ in the files of a tokenizer alone are one.
    """
    found: list[Needed] = []
    works = False
    for line in said.splitlines():
        if match := JOB.match(line):
            found.append(Needed(_without_tokenizer(match[1])))
            works = False
        elif line.startswith("    output: "):
            works = True
        elif (match := WILDCARDS.match(line)) and found:
            pairs = (pair.partition("=") for pair in match[1].split(", "))
            found[-1] = Needed(found[-1].rule, {key: value for key, _, value in pairs})
        elif line.startswith("    jobid: ") and found and not works:
            found.pop()
    return found
