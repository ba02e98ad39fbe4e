"""How fast videos are labelled: frames at the centres of chunks beside whole decoding, and clips a second by part.

    python benchmarks/pseudolabels.py [VIDEO ...] [--repetitions 5] [--every 1 2 5 8.33]
    python benchmarks/pseudolabels.py --label mini|paper [--clips 64] [--at-once 32] [--weights FOLDER]
                                      [--rates FILE --machine TEXT]

First: seconds to read the centre frame of every 8-second chunk of a 30-second video (pixels in RGB and made square
included) and seconds to decode all of its frames (nothing made of them), in turn, one thread each. Without videos,
clips are made: 640x360, 30 frames a second, H.264 with B-frames, with a key frame every so many seconds. How much
is saved hangs on that distance alone.
Second: a shard is labelled by BLIP at random at one of the card's sizes, or by the files of a weights folder;
printed are clips a second and the seconds that went into decoding (in threads), waiting for it, encoding and
generating.
A network at random never ends a sentence early, so its rate is the lowest that there can be. `--rates` writes what was
measured for `python -m retake.estimate --rates FILE`: of labelling, of listing the videos, of joining the shards.
"""

import argparse
import datetime
import json
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import av
import numpy as np
import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.estimate.rates import Rate
from retake.labelling.clips import read_clips, square
from retake.labelling.index import index_pseudolabels
from retake.schema.manifest import Manifest, entry_of

SECONDS, RATE, HEIGHT, WIDTH, CHUNK_S, SIZE = 30, 30, 360, 640, 8.0, 320
WRITTEN = ("table", "jsonl", "failures", "shown")
SPEC = {
    "weights": "blip_large",
    "chunk_s": CHUNK_S,
    "prompt": "a picture of ",
    "top_p": 0.9,
    "repetition_penalty": 1.1,
}
LENGTHS = {"mini": {"min_length": 8, "max_length": 30}, "paper": {"min_length": 5, "max_length": 20}}


def make_clip(path: Path, every_s: float, seed: int = 0) -> Path:
    """Shapes that move over a textured ground under a moving camera, with some noise."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.integers(50, 200, (30, 50, 3)), np.ones((24, 24, 1)))
    options = {"preset": "medium", "crf": "23", "g": str(round(every_s * RATE)), "keyint_min": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(SECONDS * RATE):
            frame = ground[t % 300 : t % 300 + HEIGHT, t % 500 : t % 500 + WIDTH] + rng.integers(
                -5, 6, (HEIGHT, WIDTH, 1)
            )
            frame[100:220, (4 * t) % 500 : (4 * t) % 500 + 90] = (200, t % 200, 40)
            picture = av.VideoFrame.from_ndarray(frame.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def whole(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        return sum(1 for _ in container.decode(stream))


def centres(path: Path) -> int:
    return sum(1 for _ in read_clips("v", path, CHUNK_S, partial(square, size=SIZE)))


def timed(job, path: Path) -> float:
    begun = time.process_time()
    job(path)
    return time.process_time() - begun


def seeking(videos: dict[str, Path], repetitions: int) -> None:
    for name, path in videos.items():
        ours, theirs = [], []
        for n in range(repetitions + 1):
            for job in (centres, whole) if n % 2 else (whole, centres):
                (ours if job is centres else theirs).append(timed(job, path))
        ratios = [b / a for a, b in list(zip(ours, theirs, strict=True))[1:]]  # the first one loads libraries
        a, b = (1000 * statistics.median(times[1:]) for times in (ours, theirs))
        print(
            f"{name}: {centres(path)} centre frames {a:.0f} ms, all {whole(path)} frames {b:.0f} ms of processor time: "
            f"{statistics.median(ratios):.1f} times as fast ({min(ratios):.1f} to {max(ratios):.1f})"
        )


def random_weights(folder: Path, scale: str) -> None:
    """The files of a weights folder of BLIP at one of the card's sizes, at random."""
    from retake.schema.card import read_weights_card
    from retake.training.checkpoint import write_tensors
    from retake.weights.blip_large import model as blip

    card = read_weights_card("retake/weights/blip_large/card.yaml")
    sizes = card.mini.model if scale == "mini" else card.paper.model
    words = [f"{a}{b}{c}" for a in "abcdefghij" for b in "aeiou" for c in range(1000)]
    lines = [*blip.SPECIALS, "a", "picture", "of", *words][: sizes["vocabulary"]]
    made = blip.build(**sizes, tokenizer={"vocab.txt": "".join(f"{line}\n" for line in lines)})
    tensors, config, files = blip.published(made, sizes)
    write_tensors(folder / "model.safetensors", tensors, {})
    (folder / "config.json").write_text(json.dumps(config))
    for name, text in files.items():
        (folder / name).write_text(text)


def timed_rate(job, rule: str, unit: str, units: int, written: list[Path], **said) -> Rate:
    """Seconds by the clock of `job`, and what it wrote, by unit."""
    begun = time.perf_counter()
    job()
    per_s, size = units / (time.perf_counter() - begun), sum(path.stat().st_size for path in written)
    return Rate(rule=rule, unit=unit, per_s=per_s, bytes_per_unit=size / units, **said)


def rates_of_labels(out: Path, told: dict[str, float], said: dict) -> list[Rate]:
    """Of labelling, as it told, and of joining what it wrote to `out`."""
    clips, written = int(told["label/clips"]), sum((out / name).stat().st_size for name in WRITTEN)
    per_s, common = told["label/clips_per_s"], {"unit": "clip", "bytes_per_unit": written / clips}
    labels = Rate(rule="write_pseudolabels", per_s=per_s, **common, **said)
    joined = {f"{name}_out": out / f"joined_{name}" for name in WRITTEN[:3]}
    shards = {"tables": [out / "table"], "lines": [out / "jsonl"], "failures": [out / "failures"]}
    joining = partial(index_pseudolabels, **shards, **joined)
    return [labels, timed_rate(joining, "index_pseudolabels", "clip", clips, list(joined.values()), **said)]


def labelling(
    scale: str, clips: int, at_once: int, weights: Path | None, decoders: int, machine: str
) -> list[Rate]:
    from retake.labelling.write import write_pseudolabels

    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        videos = out / "videos"
        videos.mkdir()
        first = make_clip(videos / "0000.mp4", 5.0)
        for n in range(1, -(-clips // 3)):
            (videos / f"{n:04d}.mp4").hardlink_to(first)
        files, listed = sorted(videos.iterdir()), out / "shard000.json"
        said = {
            "scale": scale, "device": "gpu" if torch.cuda.is_available() else "cpu", "machine": machine,
            "date": datetime.datetime.now(tz=datetime.UTC).date(),
            "command": f"python benchmarks/pseudolabels.py --label {scale} --clips {clips} --at-once {at_once}",
        }  # fmt: skip

        def listing() -> None:
            entries = [entry_of(videos, path, path.stem) for path in files]
            Manifest("clips", str(videos), entries).write(listed)

        rates = [timed_rate(listing, "index_release", "video", len(files), [listed], **said)]
        if weights is None:
            weights = out / "weights"
            weights.mkdir()
            random_weights(weights, scale)
        spec = (
            SPEC
            | LENGTHS[scale]
            | {"size": 64 if scale == "mini" else SIZE, "at_once": at_once, "max_repeats": 99}
        )
        told: dict[str, float] = {}
        write_pseudolabels(
            weights_module="retake.weights.blip_large.model",
            recipe={"labeller": "blip_large", "release": "clips", "spec": spec},
            manifest=out / "shard000.json",
            weights=weights / "model.safetensors",
            config=weights / "config.json",
            tokenizer=[weights / "vocab.txt"],
            scratch=out / "scratch",
            metric=told.__setitem__,
            decoders=decoders,
            out={name: out / name for name in WRITTEN},
        )
        rates += rates_of_labels(out, told, said)
    parts = ", ".join(
        f"{name} {told[f'label/{name}_s']:.2f} s" for name in ("decode", "wait", "encode", "generate")
    )
    print(f"{scale}: {told['label/clips']:.0f} clips, {told['label/clips_per_s']:.3g} a second; {parts}")
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="*", help="videos to read; left out: made on the spot")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--every", type=float, nargs="+", default=[1, 2, 5, 250 / 30], help="seconds between key frames"
    )
    parser.add_argument(
        "--label", choices=["mini", "paper"], help="label clips in the place of the first part"
    )
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--decoders", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--weights", type=Path, help="folder with config.json, model.safetensors, vocab.txt")
    parser.add_argument("--rates", type=Path, help="where to write what was measured")
    parser.add_argument("--machine", help="what it was measured on")
    given = parser.parse_args()
    if given.rates and not (given.label and given.machine):
        parser.error("--rates: expected --label and --machine")
    torch.set_num_threads(given.threads)
    if given.label:
        rates = labelling(
            given.label, given.clips, given.at_once, given.weights, given.decoders, given.machine or "-"
        )
        if given.rates:
            said = {"rates": [rate.model_dump(mode="python") for rate in rates]}
            given.rates.write_text(yaml.safe_dump(said, sort_keys=False))
        return
    with tempfile.TemporaryDirectory() as scratch:
        videos = {path.name: path for path in given.videos}
        if not videos:
            for n, every in enumerate(given.every):
                name = f"a key frame every {every:.3g} s"
                videos[name] = make_clip(Path(scratch) / f"{n}.mp4", every)
        seeking(videos, given.repetitions)


if __name__ == "__main__":
    main()
