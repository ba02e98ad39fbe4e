"""Archives that behave, and archives that try to write where they must not."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from retake.data import archives
from retake.data.archives import ArchiveError, unpack, unpack_once

GOOD = {"videos/a.mp4": b"one", "videos/b.mp4": b"two", "notes.txt": b"three"}


def write_zip(path: Path, files: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, body)
    return path


def write_tar(path: Path, files: dict[str, bytes], kinds: dict[str, tuple[bytes, str]] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = (kinds or {}).get(name, (tarfile.REGTYPE, ""))
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


WRITERS = {"zip": write_zip, "tar": write_tar}


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "deep" / "root").mkdir(parents=True)
    return tmp_path / "deep" / "root"


@pytest.mark.parametrize("kind", WRITERS)
def test_files_come_out_as_they_went_in(root, kind):
    archive = WRITERS[kind](root / "a", GOOD)
    (root / "out").mkdir()
    unpack(archive, root / "out", kind=kind)
    assert tree(root / "out") == GOOD


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    "name", ["../evil.txt", "videos/../../evil.txt", "/tmp/evil.txt", "..\\evil.txt", "C:\\evil.txt"]
)
def test_a_name_outside_the_folder_is_refused_and_nothing_is_kept(root, kind, name):
    archive = WRITERS[kind](root / "a", {**GOOD, name: b"evil"})
    before = tree(root.parent.parent)
    with pytest.raises(ArchiveError, match="outside its folder"):
        unpack_once(archive, root, kind=kind, root=root)
    assert tree(root.parent.parent) == before


@pytest.mark.parametrize("target", ["/etc", "../..", "x/../../../y"])
def test_a_link_that_leaves_a_tar_is_refused(root, target):
    files = {**GOOD, "videos/link": b"", "videos/link/evil.txt": b"evil"}
    archive = write_tar(root / "a", files, {"videos/link": (tarfile.SYMTYPE, target)})
    with pytest.raises(ArchiveError, match="points outside its folder"):
        unpack_once(archive, root, kind="tar", root=root)
    assert tree(root) == {"a": archive.read_bytes()}


def test_a_link_that_leaves_a_zip_is_refused(root):
    archive = write_zip(root / "a", {**GOOD, "link": b"../.."}, {"link": stat.S_IFLNK | 0o777})
    with pytest.raises(ArchiveError, match="points outside its folder"):
        unpack_once(archive, root, kind="zip", root=root)
    assert tree(root) == {"a": archive.read_bytes()}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_link_that_stays_inside_is_left_out_and_said(root, kind, caplog):
    if kind == "zip":
        archive = write_zip(
            root / "a", {**GOOD, "lists/a.mp4": b"../videos/a.mp4"}, {"lists/a.mp4": stat.S_IFLNK | 0o777}
        )
    else:
        archive = write_tar(
            root / "a", {**GOOD, "lists/a.mp4": b""}, {"lists/a.mp4": (tarfile.SYMTYPE, "../videos/a.mp4")}
        )
    (root / "out").mkdir()
    unpack(archive, root / "out", kind=kind)
    assert tree(root / "out") == GOOD
    assert "1 symbolic links were left out" in caplog.text


def test_a_hard_link_inside_becomes_a_copy(root):
    archive = write_tar(root / "a", {**GOOD, "c.mp4": b""}, {"c.mp4": (tarfile.LNKTYPE, "videos/a.mp4")})
    (root / "out").mkdir()
    unpack(archive, root / "out", kind="tar")
    assert tree(root / "out") == {**GOOD, "c.mp4": b"one"}


def test_a_hard_link_to_a_file_outside_is_refused(root):
    (root.parent / "secret").write_bytes(b"secret")
    archive = write_tar(root / "a", {"c.mp4": b""}, {"c.mp4": (tarfile.LNKTYPE, "../../secret")})
    with pytest.raises(ArchiveError, match="outside its folder"):
        unpack_once(archive, root, kind="tar", root=root)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_device_is_refused(root, kind):
    if kind == "zip":
        archive = write_zip(root / "a", {"pipe": b""}, {"pipe": stat.S_IFIFO | 0o644})
    else:
        archive = write_tar(root / "a", {"pipe": b""}, {"pipe": (tarfile.FIFOTYPE, "")})
    with pytest.raises(ArchiveError, match="is a device"):
        unpack_once(archive, root, kind=kind, root=root)


@pytest.mark.parametrize("kind", WRITERS)
def test_half_an_archive_is_called_so_and_nothing_of_it_is_kept(root, kind):
    archive = WRITERS[kind](root / "a", {f"videos/{n}.mp4": bytes(range(256)) * n for n in range(40)})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ArchiveError, match=f"not a whole {kind} archive"):
        unpack_once(archive, root, kind=kind, root=root)
    assert list(tree(root)) == ["a"]


def test_a_zip_whose_bytes_were_changed_is_refused(root):
    archive = root / "a"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a.mp4", b"some bytes that are stored as they are")
    archive.write_bytes(archive.read_bytes().replace(b"some bytes", b"other byte"))
    with pytest.raises(ArchiveError, match="Bad CRC"):
        unpack_once(archive, root, kind="zip", root=root)


def test_an_archive_is_unpacked_once_and_again_when_it_changes(root):
    archive = write_zip(root / "a.zip", GOOD)
    assert unpack_once(archive, root, kind="zip", root=root)
    (root / "notes.txt").unlink()
    assert not unpack_once(archive, root, kind="zip", root=root)
    write_zip(archive, {**GOOD, "more.txt": b"four"})
    assert unpack_once(archive, root, kind="zip", root=root)
    assert (root / "more.txt").read_bytes() == b"four"
    assert (root / "notes.txt").read_bytes() == b"three"


def test_a_kill_while_unpacking_leaves_no_half_release(root, monkeypatch):
    archive = write_zip(root / "a.zip", GOOD)

    def killed(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(archives, "_move_all", killed)
        with pytest.raises(KeyboardInterrupt):
            unpack_once(archive, root / "out", kind="zip", root=root)
    assert tree(root / "out") == {}
    assert unpack_once(archive, root / "out", kind="zip", root=root)
    assert tree(root / "out") == GOOD
    assert not (root / ".unpacking").exists()
