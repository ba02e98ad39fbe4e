"""Put a reproduced number beside a reported one, and say in a word how they compare."""

from retake.schema.tasks import METRICS

NO_TOLERANCE = "no verdict: no tolerance stated"


def in_unit(value: float, metric: str, unit: str) -> float:
    """A stored value of `metric` (3.4: scores are fractions) as the number one prints in `unit`.

    Raises ValueError on a unit that the metric is not printed in.
    """
    known = METRICS[metric]
    if unit == known.unit:
        return value * known.scale
    if unit == "fraction" and known.unit == "percent":
        return value
    expected = f"{known.unit!r} or 'fraction'" if known.unit == "percent" else f"{known.unit!r}"
    raise ValueError(f"{metric} in {unit!r}: expected {expected}")


def verdict(reported: float, seeds: list[float], *, tolerance: float | None, scale: str) -> str:
    """One word for a row of a paper's table.

    reported and seeds are in the same unit; tolerance too, None where nobody stated one. `scale` is "paper"
    or "mini". A mini run checks the plumbing; it is never compared, however close its number falls.
    """
    if scale not in ("mini", "paper"):
        raise ValueError(f"scale {scale!r}: expected 'mini' or 'paper'")
    if scale == "mini":
        return "mini: not compared"
    if not seeds:
        return "not run"
    if tolerance is None:
        return NO_TOLERANCE
    gap = sum(seeds) / len(seeds) - reported
    if abs(gap) <= tolerance:
        return "reproduced"
    return "higher" if gap > 0 else "lower"
