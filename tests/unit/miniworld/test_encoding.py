"""Files: real containers and codecs, the same bytes each time, the frames that went in."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from retake.miniworld import World, encode, render, tone, write_jpeg

CLIP = World(seed=3, rates=("119/12",)).clip("train", 4, "made")
FRAMES = render(CLIP)[:16]
INTRA, PREDICTED, BOTH_WAYS = (int(PictureType[name]) for name in "IPB")
WAYS = [
    ("h264", ".avi", "h264", 0),
    ("h264", ".mp4", "h264", 2),
    ("mpeg4", ".avi", "mpeg4", 0),
    ("mpeg4", ".mp4", "mpeg4", 0),
]


@pytest.mark.parametrize(("codec", "suffix", "name", "b_frames"), WAYS)
def test_a_video_decodes_to_the_frames_that_went_in(
    tmp_path: Path, codec: str, suffix: str, name: str, b_frames: int
) -> None:
    path = tmp_path / f"clip{suffix}"
    encode(FRAMES, path, codec=codec, fps=CLIP.fps, b_frames=b_frames)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == name
        assert stream.average_rate == Fraction(119, 12)
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert frames.shape == FRAMES.shape
    assert np.abs(frames.astype(int) - FRAMES).mean() < 6


@pytest.mark.parametrize("tag", [None, "DX50", "XVID"])
def test_an_avi_calls_its_codec_as_asked(tmp_path: Path, tag: str | None) -> None:
    encode(FRAMES, tmp_path / "clip.avi", codec="mpeg4", fps=CLIP.fps, tag=tag, b_frames=1, gop=250)
    with av.open(str(tmp_path / "clip.avi")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec_tag == (tag or "FMP4")
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert frames.shape == FRAMES.shape
    assert np.abs(frames.astype(int) - FRAMES).mean() < 6


@pytest.mark.parametrize(("codec", "suffix", "name", "b_frames"), WAYS)
def test_encoding_twice_gives_the_same_bytes(
    tmp_path: Path, codec: str, suffix: str, name: str, b_frames: int
) -> None:
    written = []
    for n in range(25):  # what differs now and then, differs in 25 times
        path = tmp_path / f"{n}{suffix}"
        sound = tone("good night", 1.6)
        encode(FRAMES, path, codec=codec, fps=CLIP.fps, b_frames=b_frames, sound=sound)
        written.append(path.read_bytes())
    assert len(set(written)) == 1


def test_no_version_and_no_time_is_written(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode(FRAMES, path, codec="mpeg4", fps=CLIP.fps)
    assert b"Lav" not in path.read_bytes()
    with av.open(str(path)) as container:
        assert "creation_time" not in {**container.metadata, **container.streams[0].metadata}


def test_b_frames_are_there_when_asked_for(tmp_path: Path) -> None:
    kinds = {}
    for b_frames in (0, 2):
        path = tmp_path / f"clip{b_frames}.mp4"
        encode(FRAMES, path, codec="h264", fps=CLIP.fps, b_frames=b_frames)
        with av.open(str(path)) as container:
            kinds[b_frames] = {frame.pict_type for frame in container.decode(video=0)}
    assert kinds == {0: {INTRA, PREDICTED}, 2: {INTRA, PREDICTED, BOTH_WAYS}}


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_a_spoken_line_is_heard_as_long_as_the_clip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    encode(FRAMES, path, codec="h264", fps=CLIP.fps, sound=tone("good night", 1.6))
    with av.open(str(path)) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    assert len(heard) / rate == pytest.approx(1.6, abs=0.2)
    assert np.abs(heard).max() > 0.05


def test_two_lines_sound_different() -> None:
    assert not np.array_equal(tone("good night", 2.0), tone("be careful", 2.0))


def test_a_picture_is_a_jpeg_of_the_frame(tmp_path: Path) -> None:
    for n in range(2):
        write_jpeg(FRAMES[0], tmp_path / f"{n}.JPEG")
    written = (tmp_path / "0.JPEG").read_bytes()
    assert written[:3] == b"\xff\xd8\xff"
    assert written == (tmp_path / "1.JPEG").read_bytes()
    with av.open(str(tmp_path / "0.JPEG")) as container:
        (frame,) = container.decode(video=0)
    assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - FRAMES[0]).mean() < 4


def test_what_cannot_be_encoded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="codec 'vp9'"):
        encode(FRAMES, tmp_path / "a.mp4", codec="vp9", fps=CLIP.fps)
    with pytest.raises(ValueError, match="H and W even"):
        encode(FRAMES[:, :-1], tmp_path / "a.mp4", codec="h264", fps=CLIP.fps)
