"""The same-place guard, on real folders, links and mounts."""

import subprocess

import pytest

from shared.backups.stores import LocalStore, same_place


def test_one_folder_under_two_names_is_recognised(tmp_path):
    here, other = tmp_path / "here", tmp_path / "other"
    here.mkdir()
    (tmp_path / "link").symlink_to(here)
    for name in (here, tmp_path / "link", here / ".." / "here", tmp_path / "link" / "." / ".." / "here"):
        assert same_place(LocalStore(name), here)
    assert same_place(LocalStore(other), here) is None
    other.mkdir()
    assert same_place(LocalStore(other), here) is None
    assert same_place(LocalStore(here / "backup"), here) is None

    class RemoteView(LocalStore):
        """The same folder, reached over the network."""

        path = None

        def __init__(self) -> None:
            pass

        def names(self) -> list[str]:
            return LocalStore(here).names()

    assert same_place(RemoteView(), here) == f"a file written to {here} appears in the backup place"
    assert list(here.iterdir()) == []


def test_a_bind_mount_is_recognised(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    probe = (
        "import sys; from pathlib import Path; from shared.backups.stores import LocalStore, same_place;"
        "print(same_place(LocalStore(Path(sys.argv[1])), Path(sys.argv[2])))"
    )
    script = 'mount --bind "$1" "$2" || exit 77; exec python3 -c "$3" "$2" "$1"'
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", here, there, probe]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"bind mounts are not allowed here: {done.stderr.strip()}")
    assert done.stdout.strip() == f"{there} and {here} are the same folder on disk"
