"""A secret in the environment or in DVC's local config stays there: no log, record, run or page has it."""

import sys
from hashlib import sha256

from tests.secrets import SECRETS

IN_DVC = sha256(b"of a remote").hexdigest()[:24]
CONFIG = '[remote "store"]\n    url = s3://somewhere\n    secret_access_key = {}\n'


def holding(folder, secret):
    return [
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and secret.encode() in file.read_bytes()
    ]


def test_the_build_had_secrets_around_it():
    assert len(SECRETS) >= 3
    assert len(set(SECRETS.values())) == len(SECRETS)


def test_no_file_of_a_build_has_a_secret_of_its_environment(built):
    assert len(list((built.folder / "results").rglob("*.log"))) > 40
    for name, secret in SECRETS.items():
        assert holding(built.folder, secret) == [], name


def test_a_runs_store_has_no_secret_either(copy):
    (copy.folder / ".dvc/config.local").write_text(CONFIG.format(IN_DVC), encoding="utf-8")
    copy.run(sys.executable, "-m", "retake.tracking", "sync", "--store", "sqlite:///runs.db")
    assert (copy.folder / "runs.db").stat().st_size > 100_000
    copy.snakemake("-n")
    assert holding(copy.folder, IN_DVC) == [".dvc/config.local"]
    for secret in SECRETS.values():
        assert holding(copy.folder, secret) == []
