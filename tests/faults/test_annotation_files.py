"""Two hundred damaged annotation files: each is refused with its name and place, or read as what it still says."""

import json
import logging
import re

import numpy as np
import pandas as pd
import pytest

from retake.data.annotations import LOG, build_annotations
from retake.data.mini_release import make_release, render_videos
from retake.data.release import CARDS
from retake.schema.card import read_card
from tests.faults.mutations import MUTATIONS

COUNT = 200
WORDS = 4  # changed in each file of text beside these
EACH_SPLIT, MORE = 4, {"imagenet": 60}  # items; of the one whose every class must have a picture
TEXTS = {".csv", ".txt", ".json", ".jsonl", ".tsv"}
PACKED = {".zst", ".parquet"}  # damaged byte by byte alone
RELEASES = sorted(
    folder.name
    for folder in CARDS.iterdir()
    if (folder / "mini.py").is_file() and (folder / "card.yaml").is_file()
)
FIRST_READING = {
    release: next(
        folder.name
        for folder in sorted(CARDS.iterdir())
        if (folder / "card.yaml").is_file()
        and (card := read_card(folder / "card.yaml")).tasks
        and (card.release or folder.name) == release
    )
    for release in RELEASES
}


class Told(logging.Handler):
    """Lines of the log."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def without_a_line(text, rng):
    lines = text.splitlines(keepends=True)
    del lines[int(rng.integers(len(lines)))]
    return "".join(lines)


def with_a_line_twice(text, rng):
    lines = text.splitlines(keepends=True)
    at = int(rng.integers(len(lines)))
    return "".join([*lines[: at + 1], *lines[at:]])


def with_a_word_changed(text, rng):
    """One run of letters or digits becomes another, an empty one, or a number that is none."""
    words = list(re.finditer(r"\w+", text))
    one = words[int(rng.integers(len(words)))]
    other = ["", "nan", "-1", "1e999", "\N{ZERO WIDTH SPACE}", "é" * 300][int(rng.integers(6))]
    return text[: one.start()] + other + text[one.end() :]


def with_a_delimiter_changed(text, rng):
    marks = list(re.finditer(r"[,:;\t\"{}\[\] ]", text))
    if not marks:
        return text + ","
    one = marks[int(rng.integers(len(marks)))]
    other = [",", '"', "\t", "", "\n", "]"][int(rng.integers(6))]
    return text[: one.start()] + other + text[one.end() :]


def with_lines_of_another_system(text, rng):
    return text.replace("\n", "\r\n")


STRUCTURAL = (
    without_a_line,
    with_a_line_twice,
    with_a_word_changed,
    with_a_delimiter_changed,
    with_lines_of_another_system,
)


def damaged(path, number, kinds):
    """(name of the damage, the file's new bytes). kinds: of which one is drawn; empty: of all that fit the file."""
    rng = np.random.default_rng([21, number])
    kinds = kinds or [*MUTATIONS, *(() if path.suffix in PACKED else STRUCTURAL)]
    chosen = kinds[int(rng.integers(len(kinds)))]
    data = path.read_bytes()
    if chosen in MUTATIONS:
        return chosen.__name__, chosen(data, rng)
    return chosen.__name__, chosen(data.decode("utf-8"), rng).encode("utf-8")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """release -> (its folder, its annotation files that are text, its table)."""
    place = tmp_path_factory.mktemp("releases")
    found = {}
    for release in RELEASES:
        card = read_card(CARDS / release / "card.yaml")
        splits = dict.fromkeys(card.mini.splits, MORE.get(release, EACH_SPLIT))
        given = {
            "release": release, "root": place / release, "splits": splits, "options": {}, "num_shards": 1,
        }  # fmt: skip
        try:
            make_release(**given, files_out=place / "files.json", truth_out=place / "truth.parquet")
            render_videos(**given, shard="000", manifest_out=place / "shard.json")
        except ValueError as error:
            raise AssertionError(f"{release}: {splits}: {error}") from error
        listed = json.loads((place / "files.json").read_text())["files"]
        texts = [place / release / file["path"] for file in listed]
        texts = [path for path in texts if path.suffix in TEXTS | PACKED]
        whole = place / f"{release}.parquet"
        build_annotations(dataset=FIRST_READING[release], root=place / release, out=whole)
        found[release] = (place / release, texts, pd.read_parquet(whole))
    return found


@pytest.fixture(scope="module")
def outcomes(releases, tmp_path_factory):
    """number -> (release, file, damage, what came of it: a table, or the error).

    A table's attrs say what the log told on the way.
    """
    out, told = tmp_path_factory.mktemp("tables") / "table.parquet", Told()
    LOG.addHandler(told)
    places = [(release, file) for release, (_, files, _) in releases.items() for file in files]
    found = {}
    for number in range(COUNT + WORDS * len(places)):
        release, file = places[number % len(places)]
        kept = file.read_bytes()
        if number >= COUNT and file.suffix in PACKED:
            continue
        how, data = damaged(file, number, [with_a_word_changed] if number >= COUNT else [])
        file.write_bytes(data)
        told.lines.clear()
        try:
            build_annotations(dataset=FIRST_READING[release], root=releases[release][0], out=out)
            came = pd.read_parquet(out)
            came.attrs["told"] = tuple(told.lines)
        except Exception as error:  # noqa: BLE001 - which errors may come is what is tested
            came = error
        finally:
            file.write_bytes(kept)
            out.unlink(missing_ok=True)
        found[number] = (release, file, how, came)
    LOG.removeHandler(told)
    return found


def test_every_release_has_a_text_file_to_damage(releases):
    assert [release for release, (_, files, _) in releases.items() if not files] == []


def test_a_file_that_is_refused_is_named_with_the_place_and_no_error_is_a_strange_one(outcomes):
    strange = {}
    for number, (release, file, how, came) in outcomes.items():
        if isinstance(came, pd.DataFrame):
            continue
        named = str(file.parent) in str(came) or file.name in str(came) or str(file) in str(came)
        if type(came) is not ValueError or not named or "\n" in str(came)[:-1]:
            strange[number] = f"{release} {file.name} {how}: {type(came).__name__}: {str(came)[:300]}"
    assert strange == {}


def test_much_damage_is_refused_and_what_is_read_is_a_whole_table(outcomes, releases):
    refused = [number for number, (*_, came) in outcomes.items() if not isinstance(came, pd.DataFrame)]
    assert len(refused) > COUNT // 4
    for number, (release, file, how, came) in outcomes.items():
        if isinstance(came, pd.DataFrame):
            where = f"{number}: {release} {file.name} {how}"
            assert len(came), where
            assert came["ref_id"].is_unique, where
            times = came.dropna(subset=["start_s", "end_s"])
            assert (times["end_s"] >= times["start_s"]).all(), where
            assert np.isfinite(times[["start_s", "end_s"]].to_numpy()).all(), where
            texts = came["text_out"].dropna()
            assert (texts.str.strip() != "").all(), where


def test_no_row_is_lost_unsaid(outcomes, releases):
    """Line ends of another system are no damage: the table is the whole one."""
    for number, (release, file, how, came) in outcomes.items():
        if isinstance(came, pd.DataFrame) and how == "with_lines_of_another_system":
            whole = releases[release][2]
            pd.testing.assert_frame_equal(came, whole, obj=f"{number}: {release} {file.name}")


def test_a_row_that_a_changed_word_made_useless_is_said(outcomes, releases):
    """The file has as many rows as before; a table that has fewer says how many were left out."""
    tables = 0
    for number, (release, file, how, came) in outcomes.items():
        if isinstance(came, pd.DataFrame) and how == "with_a_word_changed":
            tables += 1
            missing = len(releases[release][2]) - len(came)
            assert missing <= 0 or came.attrs["told"], (
                f"{number}: {release} {file.name}: {missing} rows fewer"
            )
    assert tables > 20
