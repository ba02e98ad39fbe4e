"""Where a number comes from: read out of the record of the job that predicted."""

from pathlib import Path
from typing import Any

from retake.schema.record import Record, digest_of


def provenance_of(identity: dict[str, Any], record: Path) -> dict[str, Any]:
    """`identity` (method, variant, data set, ...) with digests of checkpoint, data, recipe and code, and the record.

    No time and no commit: they would change the bytes of a metrics file. The record, whose digest has none of
    them either, carries both.
    """
    job = Record.read(record).job
    digests = {"recipe": digest_of(job["params"]), "code": job["code"]}
    data = job["params"].get("data") or {}
    besides = beside(data)
    digests |= {name: job["inputs"][path] for path, name in besides.items() if name is not None}
    for path, digest in job["inputs"].items():
        if path in besides:
            continue
        if path.endswith("checkpoint.safetensors"):
            digests["checkpoint"] = digest
        elif "/annotations/" in path:
            digests["annotations"] = digest
        elif path.endswith("index.parquet"):
            digests["media"] = digest
    return {
        **identity,
        "digests": digests,
        "record": {"path": Path(record).as_posix(), "digest": job["digest"]},
    }


def beside(data: dict[str, Any]) -> dict[str, str | None]:
    """Inputs of a prediction that are not its own checkpoint or media -> what their digest is called; None: nothing.

    A bank's index names the digests of what filled it.
    """
    read = {name: data[name] for name in ("memory", "stored") if data.get(name)}
    found: dict[str, str | None] = {
        path: None for bank in read.values() for path in bank["made_of"].values() if path != data["index"]
    }
    found |= {bank["index"]: name for name, bank in read.items()}
    return found | ({data["detections"]: "detections"} if data.get("detections") else {})


def trained_as(identity: dict[str, Any], record: Path, checkpoint: str) -> dict[str, Any]:
    """The same for a training's own record, whose inputs are several data sets and starts, told as one digest.

    checkpoint: the digest of what the training wrote.
    """
    job = Record.read(record).job
    digests = {"recipe": digest_of(job["params"]), "code": job["code"], "inputs": digest_of(job["inputs"])}
    return {
        **identity,
        "digests": digests | {"checkpoint": checkpoint},
        "record": {"path": Path(record).as_posix(), "digest": job["digest"]},
    }
