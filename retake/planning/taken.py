"""Checkpoints that a job takes as they are: no input of it, so that nothing is trained for what is asked of them."""

from hashlib import file_digest
from pathlib import Path
from typing import Any

from retake.schema.strict import SettingError


def there(checkpoint: Path | str) -> Path:
    """The path of a checkpoint that is there. Raises SettingError that says how it is got where it is not."""
    path = Path(checkpoint)
    if not path.is_file():
        raise SettingError(
            f"{path}: no such checkpoint, and captions are not worth a training: "
            f"get it with `dvc pull {path.parent}` or train it with `snakemake {path}`"
        )
    return path


def taken(checkpoint: Path | str) -> dict[str, Any]:
    """What a job is told of such a checkpoint; its digest, so that another one under its name is another job."""
    path = there(checkpoint)
    with path.open("rb") as file:
        return {"checkpoint": path.as_posix(), "checkpoint_sha256": file_digest(file, "sha256").hexdigest()}
