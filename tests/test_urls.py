"""Places behind URLs: the same mistake gets the same sentence, whichever setting holds the URL."""

import os

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from shared.backups.remote import open_store
from shared.data.shards.stores import RemoteStore
from shared.errors import UserError
from shared.urls import LONGEST_PAUSE, Connection, kind_of_place, tried


@pytest.mark.parametrize(
    ("url", "what", "mend"),
    [
        ("oci://bucket/a", "oci:// needs a package that is not installed", "pip install ocifs"),
        ("simplecache::oci://bucket/a", "oci:// needs a package that is not installed", "pip install ocifs"),
        ("nosuch://bucket", "nosuch:// is unknown", "sftp://user@host/folder"),
        ("sftp://me:secret@nas/a", "a password in a URL", "use a key"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_sentence_for_all(url, what, mend):
    said = []
    for key, opened in (("backup.url", open_store), ("data.root", RemoteStore)):
        with pytest.raises(UserError) as error:
            opened(url)
        assert error.value.where == key and what in str(error.value) and mend in str(error.value)
        said.append((error.value.what, error.value.mend))
    assert said[0] == said[1] and "secret" not in str(said)


@pytest.mark.parametrize("place", ["runs/of mine", "/mnt/a:b", "C:/backups", "file:///mnt/a", "~/x::y"])
def test_a_folder_is_a_folder(place):
    assert kind_of_place(place, "backup.url").protocol[0] == "file"


def test_a_failed_request_is_tried_again_ever_more_slowly(caplog):
    failures, pauses = [ConnectionError("lost")] * 9, []

    def request():
        if failures:
            raise failures.pop()
        return "answer"

    assert tried("reading a", request, retries=9, sleep=pauses.append) == "answer"
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert caplog.messages[0] == "reading a failed (lost); trying again in 1 s"


def test_the_last_failure_is_raised_and_a_final_one_at_once():
    pauses = []
    for error, count in ((ConnectionError("lost"), 2), (FileNotFoundError("gone"), 0)):
        with pytest.raises(type(error)):
            tried(
                "reading a", lambda error=error: (_ for _ in ()).throw(error), retries=2, sleep=pauses.append
            )
        assert len(pauses) == count
        pauses.clear()


class Rented(MemoryFileSystem):
    """Counts connections."""

    protocol, made = "rented", []

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.made.append(os.getpid())


def test_a_connection_is_made_anew_after_a_failure_and_in_a_fork():
    fsspec.register_implementation("rented", Rented, clobber=True)
    connection = Connection("rented://bucket")
    assert Rented.made == []
    for _ in range(2):
        with connection.opened() as (files, root):
            assert isinstance(files, Rented) and root.endswith("bucket")
    assert len(Rented.made) == 1

    with pytest.raises(OSError, match=r"^rented://bucket: ValueError: torn$"), connection.opened():
        raise ValueError("torn")
    with connection.opened():
        assert len(Rented.made) == 2

    if (child := os.fork()) == 0:
        with connection.opened():
            os._exit(len(Rented.made) - 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
