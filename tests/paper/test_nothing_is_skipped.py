"""A release or a foundation that cannot be had ends the run with what to do about it; no table is made without."""

import pytest

from tests.paper.conftest import PLAN as WHOLE
from tests.paper.conftest import plan_of

SAID = {
    "open": "could not be fetched whole",
    "form": "is given out after a form is signed",
    "dead": "is no longer given out by its makers",
}
METHOD = next(iter(WHOLE.recipes))
PLAN = plan_of(METHOD)
TABLE = PLAN.tables_of(METHOD)[0]
RELEASE = PLAN.release_of(PLAN.rows(METHOD, TABLE)[0].dataset)


@pytest.mark.parametrize(("method", "table"), [(METHOD, TABLE)])
@pytest.mark.parametrize("access", SAID)
def test_a_release_that_cannot_be_had_ends_with_its_message_and_no_table(
    at_paper_scale, access, method, table
):
    at_paper_scale.served.replies.clear()  # nor is a weight there
    at_paper_scale.edit(RELEASE, access=access)

    done = at_paper_scale.project.snakemake(check=False)

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"{PLAN.cards[RELEASE].title} ({RELEASE}) {SAID[access]}" in said
    assert f"Put the missing files under data/paper/{RELEASE}/" in said
    assert f"folders: {{{RELEASE}: /path/to/it}}" in said
    for weights in PLAN.published:
        assert f"folders: {{weights/{weights}: /path/to/it}}" in said
        assert not (
            at_paper_scale.project.folder / f"data/paper/weights/{weights}/model.safetensors"
        ).exists()
    asked = [path for path in at_paper_scale.served.paths() if path == f"/{RELEASE}.tar"]
    assert len(asked) == (access == "open")
    ran = {path.relative_to(at_paper_scale.file("records")).parts[0] for path in records(at_paper_scale)}
    assert ran == set()
    assert not at_paper_scale.file("tables").exists()


def records(copy):
    return list(copy.file("records").rglob("*.jsonl"))
