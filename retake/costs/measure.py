"""measure_cost: what a method's systems cost, counted or timed, in one file."""

import os
import platform
from pathlib import Path
from typing import Any

from retake.costs.blocks import pairs, steps
from retake.costs.operations import gflops, params_m, relative
from retake.costs.parts import described
from retake.schema.costs import CostFile

CLIP = ("size", "frames", "gop", "quality", "pairs")


def measure_cost(
    *, method: str, cost: str, spec: dict[str, Any], systems: dict[str, dict[str, Any]], out: Path
) -> CostFile:
    """Write the cost `cost` of a method. spec: schema.costs.Cost; systems: schema.costs.System by name.

    A system without preparation has no times of it. Counts are the same everywhere; times are of this machine, this
    hour, and each run's own.
    """
    machine = None
    if spec["kind"] == "operations":
        values = _counted(spec, systems)
    elif spec["kind"] == "pairs":
        values = {name: {"pairs": pairs(method, block)} for name, block in _blocks(spec, systems).items()}
    elif spec["kind"] == "parts":
        values = {
            name: described(systems[name]["networks"][0], systems[name]["parts"]) for name in spec["systems"]
        }
    else:
        values = _timed(spec, systems) if spec["kind"] == "time" else _stepped(method, spec, systems)
        machine = machine_of(processes())
    file = CostFile(method=method, cost=cost, kind=spec["kind"], machine=machine, values=values)
    Path(out).write_text(file.text(), encoding="utf-8")
    return file


def _counted(spec: dict[str, Any], systems: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    values = {name: {"gflops": gflops(systems[name]["networks"])} for name in spec["systems"]}
    if (to := spec.get("relative_to")) is None:
        return values
    for name, own in values.items():
        own["params_m"] = params_m(systems[name]["networks"])
    return relative(values, to)


def _stepped(
    method: str, spec: dict[str, Any], systems: dict[str, dict[str, Any]]
) -> dict[str, dict[str, float]]:
    return steps(method, _blocks(spec, systems), spec["repeats"])


def _blocks(spec: dict[str, Any], systems: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Arguments of each system's block: its own, and the cost's where it has none."""
    return {name: {**spec["block"], **systems[name]["block"]} for name in spec["systems"]}


def _timed(spec: dict[str, Any], systems: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    from retake.costs.passing import times
    from retake.costs.preparing import many_processes, one_process

    clip, repeats = {key: spec[key] for key in CLIP}, spec["repeats"]
    prepared: dict[str, dict[str, float]] = {}  # the same way twice is timed once
    values: dict[str, dict[str, float]] = {}
    for name in spec["systems"]:
        way = systems[name]["prepare"]
        if way is not None and repr(way) not in prepared:
            prepared[repr(way)] = {
                "ms_prepare": one_process(way, clip, repeats),
                "ms_prepare_many": many_processes(way, clip, repeats, processes()),
            }
        values[name] = dict(prepared[repr(way)]) if way is not None else {}
    for name in spec["systems"]:
        values[name] |= times(systems[name]["networks"], spec["videos"], repeats)
    return values


def processes() -> int:
    """How many processors this job may use."""
    return len(os.sched_getaffinity(0))


def machine_of(count: int) -> str:
    """Processor and GPU in words; no name of the machine."""
    import torch

    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if os.name == "posix" else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    processor = f"{next(named, platform.machine())}, {count} in use"
    if torch.cuda.is_available():
        return f"{processor}; networks on {torch.cuda.get_device_name()}"
    return f"{processor}; networks there too, one thread each"
