"""Functions of wildcards, as rules hold them: what a job reads, and what it is told."""

import inspect
import json
from collections.abc import Callable
from typing import Any, TypeVar

Job = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def described(function: Function) -> Function:
    """The function, with its signature beside it: Snakemake asks for that several times a job, and each time Python
    would work it out anew.
    """
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


def inputs_and_recipe(job: Callable[[Any], Job]) -> tuple[Callable[[Any], Job], Callable[[Any], str]]:
    """(input function, params function) of jobs that the plan describes, each worked out once.

    The params function gives the JSON that the job's script reads, and nothing that it does not. Inputs come first:
    what is told beside them is kept, as text, which Snakemake keeps, too.
    """
    told: dict[tuple, str] = {}

    def inputs(wildcards: Any) -> Job:
        found = job(wildcards)
        told[tuple(wildcards.items())] = as_json(found["recipe"])
        return found["inputs"]

    def recipe(wildcards: Any) -> str:
        place = tuple(wildcards.items())
        return told[place] if place in told else as_json(job(wildcards)["recipe"])

    return described(inputs), described(recipe)
