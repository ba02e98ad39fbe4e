"""Cards: a reading takes over what it leaves out; what is missing or contradicts itself is named."""

import pytest
import yaml

from retake.schema.card import read_card
from retake.schema.strict import SettingError

RELEASE = {
    "title": "Clips",
    "licence": "none",
    "access": "packed",
    "media": {"glob": "*.avi"},
    "tasks": [],
    "splits": {"train": 3, "test": 2},
    "counts": {"classes": 2},
    "mini": {"splits": {"train": 6, "test": 4}, "options": {"size_px": [40, 40]}},
}
READING = {"release": "clips", "fold": 2, "title": "Clips, split 2", "tasks": ["classify"]}


@pytest.fixture
def cards(tmp_path):
    def write(release: dict | None = None, reading: dict | None = None):
        for name, card in (("clips", release), ("clips_2", reading)):
            if card is not None:
                (tmp_path / name).mkdir(exist_ok=True)
                (tmp_path / name / "card.yaml").write_text(yaml.safe_dump(card))
        return tmp_path / "clips_2/card.yaml"

    return write


def test_what_a_reading_leaves_out_is_as_in_its_releases_card(cards):
    card = read_card(cards(RELEASE, READING | {"splits": {"train": 4, "test": 1}}))
    assert (card.release, card.fold, card.title, card.tasks) == ("clips", 2, "Clips, split 2", ["classify"])
    assert card.splits == {"train": 4, "test": 1}
    assert (card.licence, card.access, card.media.glob, card.counts) == (
        "none",
        "packed",
        "*.avi",
        {"classes": 2},
    )
    assert card.mini.options == {"size_px": [40, 40]}


def test_a_key_of_the_reading_replaces_the_releases_whole(cards):
    card = read_card(cards(RELEASE, READING | {"splits": {"all": 5}, "mini": {"splits": {"all": 5}}}))
    assert card.splits == card.mini.splits == {"all": 5}
    assert card.mini.options == {}


def test_a_reading_must_say_its_task_a_release_need_not(cards):
    path = cards(RELEASE, {k: v for k, v in READING.items() if k != "tasks"})
    with pytest.raises(SettingError, match=r"clips_2/card\.yaml: .*tasks: expected what is asked"):
        read_card(path)
    assert read_card(path.parent.parent / "clips/card.yaml").tasks == []


def test_a_release_that_is_not_there_is_named(cards):
    with pytest.raises(
        SettingError, match=r"clips_2/card\.yaml: release: no data set 'clips'; expected .*clips/card"
    ):
        read_card(cards(reading=READING))


def test_what_is_wrong_with_the_release_is_said_of_its_own_card(cards):
    with pytest.raises(SettingError, match=r"clips/card\.yaml: tilte: unknown key; did you mean 'title'"):
        read_card(cards({**RELEASE, "tilte": "x"}, READING))
