"""Backups over a real OpenSSH server, which goes away in the middle of a transfer and comes back."""

import getpass
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import fsspec.config
import numpy as np
import psutil
import pytest
import torch

from shared.backups.remote import FsspecStore
from shared.data.image_dataset import ImageDataset
from shared.data.images import encode_jpeg
from shared.data.shards.packing import pack
from shared.data.shards.reader import Shards
from shared.data.shards.writer import Recipe, Sample, read_file
from shared.data.views import CenterView
from shared.lightning.loader import make_loader
from tests.fit.tiny_net import TinyNet

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile {folder}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


class Server:
    """An sshd of our own on a free port, for the user who runs the tests."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.config = folder / "sshd_config"
        self.config.write_text(CONFIG.format(port=self.port, folder=folder))
        for name in ("host_key", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        self.start()

    def start(self) -> None:
        log = str(self.config.with_name("log"))
        self.process = subprocess.Popen([SSHD, "-D", "-E", log, "-f", str(self.config)])
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                pytest.skip(f"sshd does not start: {Path(log).read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Kill it and its sessions, as a reboot of the machine would."""
        for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path, monkeypatch):
    if SSHD is None:
        pytest.skip("no sshd here: install openssh-server")
    folder = tmp_path / "sshd"
    folder.mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    server = Server(folder)
    login = {"key_filename": str(folder / "key"), "look_for_keys": False, "allow_agent": False}
    monkeypatch.setitem(fsspec.config.conf, "sftp", login)
    yield server
    server.stop()


def url(server: Server, place: Path) -> str:
    return f"sftp://{getpass.getuser()}@127.0.0.1:{server.port}{place}"


def test_the_store_does_all_a_store_must(server, tmp_path):
    store = FsspecStore(url(server, tmp_path / "deep/place"))
    assert store.names() == []
    with store.write("a.part") as file:
        file.write(bytes(3_000_000))
    store.rename("a.part", "a")
    store.rename("a", "b")
    assert store.names() == ["b"]
    with store.read("b") as file:
        assert file.read(10) == bytes(10) and len(file.read()) == 2_999_990
    with pytest.raises(FileNotFoundError):
        store.read("a")
    server.stop()
    with pytest.raises(OSError, match="sftp://"):
        store.names()
    server.start()
    assert store.names() == ["b"]
    store.delete("b")
    store.delete("b")
    assert store.names() == []


class BigNet(TinyNet):
    """40 MB that are slow enough to send for a server to vanish meanwhile."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.register_buffer("ballast", torch.randn(10_000_000))


def test_a_server_that_goes_and_comes_back(train, server, tmp_path):
    place, stopped = tmp_path / "place", []

    def stop_in_mid_transfer() -> None:
        end = time.monotonic() + 60
        while not stopped and time.monotonic() < end:
            for part in place.rglob("data-*.ckpt.part"):
                if part.exists() and part.stat().st_size > 1_000_000:
                    stopped.append(part.stat().st_size)
                    server.stop()
                    time.sleep(2)
                    server.start()
                    return
            time.sleep(0.001)

    watcher = threading.Thread(target=stop_in_mid_transfer)
    watcher.start()
    ended = train(
        tmp_path / "here/mine", f"backup.url={url(server, place)}", "trainer.max_epochs=1", network=BigNet
    )
    watcher.join()
    assert (ended.code, ended.summary["status"]) == (0, "completed")
    assert 1_000_000 < stopped[0] < 40_000_000
    assert ended.summary["backup"]["status"] == "complete"
    assert "trying again in" in ended.said
    assert not list(place.rglob("*.part"))
    again = train(
        tmp_path / "there/mine", f"backup.url={url(server, place)}", "trainer.max_epochs=1", network=BigNet
    )
    assert again.weights() == ended.weights() and "sftp://" in again.events("restored")[0]


@pytest.mark.parametrize("cache_gb", [0, 1])
def test_shards_are_read_over_sftp_by_worker_processes(server, tmp_path, cache_gb):
    """Each worker connects for itself; with a cache the shards end up here, whole."""
    files = [tmp_path / f"{number}.jpg" for number in range(12)]
    for number, path in enumerate(files):
        path.write_bytes(encode_jpeg(np.full((20, 30, 3), 20 * number, np.uint8)))
    samples = [Sample(str(path), path.name, "grey") for path in files]
    pack(samples, tmp_path / "packed", Recipe("image", per_shard=5), read_file, jobs=1)
    shards = Shards(url(server, tmp_path / "packed"), str(tmp_path / "cache"), cache_gb)
    dataset = ImageDataset(shards, shards.labels, CenterView(8, 1.0), max_corrupt=0)
    images = [batch["image"] for batch in make_loader(dataset, 3, train=False, workers=2)]
    assert [int(image.float().mean().round()) for image in torch.cat(images)] == [20 * n for n in range(12)]
    assert len(list((tmp_path / "cache").rglob("*.tar"))) == (3 if cache_gb else 0)
