"""Which shard a video belongs to: by its name alone, so that adding a video moves no other."""

from hashlib import sha256


def shard_name(number: int) -> str:
    """Three digits, as in paths; more from a thousand on."""
    return f"{number:03d}"


def shard_names(num_shards: int) -> list[str]:
    return [shard_name(n) for n in range(num_shards)]


def shard_of(video_id: str, num_shards: int) -> str:
    """The shard of `video_id`, from the first four bytes of its sha256."""
    return shard_name(
        int.from_bytes(sha256(video_id.encode("utf-8", "surrogateescape")).digest()[:4], "big") % num_shards
    )
