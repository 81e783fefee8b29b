"""Downloads end in the right bytes, whatever the server, the network or a killer does."""

import errno
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from universal_simulator.acquisition import download
from universal_simulator.acquisition import download as published
from universal_simulator.acquisition.download import Patience, WebFile, fetch
from universal_simulator.acquisition.writing import part
from universal_simulator.configuration import PublishedSource
from universal_simulator.support.errors import InputError

from .servers import Behaviour, web_server

CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(attempts=4, first_wait=0.01, longest_wait=0.05)


def get(address: str, path: Path, md5: str = MD5) -> int:
    return fetch(WebFile(address, timeout=(1.0, 1.0)), path, md5, QUICK)


def test_a_file_comes_once(tmp_path):
    path, server = tmp_path / "file", Behaviour(CONTENT)
    with web_server(server) as address:
        assert get(address, path) == len(CONTENT)
        assert get(address, path) == 0
    assert path.read_bytes() == CONTENT
    assert server.asked == [0]
    assert not part(path).exists()


def test_cut_connections_are_resumed_where_they_were_cut(tmp_path):
    path, server = tmp_path / "file", Behaviour(CONTENT, cut_after=[700_000, 1, 1_500_000])
    with web_server(server) as address:
        assert get(address, path) == len(CONTENT)
    assert path.read_bytes() == CONTENT
    assert server.asked == sorted(server.asked)
    assert len(server.asked) == 4


def test_a_server_without_ranges_begins_anew(tmp_path):
    path, server = tmp_path / "file", Behaviour(CONTENT, ranges=False, cut_after=[700_000])
    with web_server(server) as address:
        get(address, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(tmp_path, status):
    path, server = tmp_path / "file", Behaviour(CONTENT, refusals=[status, status])
    with web_server(server) as address:
        get(address, path)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_the_pause_a_server_asks_for_is_kept(tmp_path):
    server = Behaviour(CONTENT, refusals=[429], retry_after="1")
    with web_server(server) as address:
        begun = time.monotonic()
        get(address, tmp_path / "file")
    assert time.monotonic() - begun >= 1.0


def test_silence_is_a_cut(tmp_path):
    path, slow = tmp_path / "file", Behaviour(CONTENT[:130_000], pace=1.3)
    with web_server(slow) as address:
        assert get(address, path, hashlib.md5(slow.content).hexdigest()) == 130_000
    assert len(slow.asked) > 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_final_answer_is_told_at_once(tmp_path, status):
    server = Behaviour(CONTENT, refusals=[status] * 9)
    with web_server(server) as address, pytest.raises(InputError, match=f"answer {status} .* must be 200"):
        get(address, tmp_path / "file")
    assert len(server.asked) == 1


def test_after_many_vain_attempts_we_give_up_and_keep_what_came(tmp_path):
    path, server = tmp_path / "file", Behaviour(CONTENT, cut_after=[700_000])
    with web_server(server) as address:
        server.refusals = []
        server.cut_after = [700_000, 0, 0, 0, 0, 0, 0]
        with pytest.raises(InputError, match=r"gave up after 4 attempts .*run again to go on"):
            get(address, path)
        assert part(path).stat().st_size == 700_000
        server.cut_after = []
        assert get(address, path) == len(CONTENT) - 700_000
    assert path.read_bytes() == CONTENT
    with pytest.raises(InputError, match="does not answer"):
        get("http://127.0.0.1:9/nobody", tmp_path / "other")


def test_remains_of_another_file_are_thrown_away(tmp_path):
    path = tmp_path / "file"
    for remains in (b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5), CONTENT):
        part(path).write_bytes(remains)
        with web_server(Behaviour(CONTENT)) as address:
            get(address, path)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_wrong_content_never_gets_the_name(tmp_path):
    path = tmp_path / "file"
    with web_server(Behaviour(CONTENT[::-1])) as address, pytest.raises(InputError, match=r"md5 = .* must be"):
        get(address, path)
    assert not path.exists()
    assert not part(path).exists()


def test_another_file_under_the_name_is_refused_and_kept(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"it is another file, or damaged: .*data.folder=<name>"):
        get("http://127.0.0.1:9/nobody", path)
    assert path.read_bytes() == b"mine"


def test_a_bit_that_flipped_since_is_noticed_whatever_the_time_stamp_says(tmp_path):
    path = tmp_path / "file"
    with web_server(Behaviour(CONTENT)) as address:
        get(address, path)
    assert get("http://127.0.0.1:9/nobody", path) == 0
    stamp = path.stat()
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(InputError, match="it is another file, or damaged"):
        get("http://127.0.0.1:9/nobody", path)


def test_without_room_on_the_disk_nothing_comes(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with web_server(Behaviour(CONTENT)) as address, pytest.raises(InputError, match="free space"):
        get(address, tmp_path / "file")
    assert list(tmp_path.glob("file*")) == []


def test_a_disk_that_others_fill_meanwhile_is_told_in_one_line(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_append", full)
    with pytest.raises(InputError, match=r"free space = none left.*what is done is kept"):
        get("http://127.0.0.1:9/nobody", tmp_path / "file")


def test_an_outdated_published_file_is_refused_with_the_reason(tmp_path, monkeypatch):
    """Its md5 is known; here a small file stands for it."""
    monkeypatch.setattr(published, "OUTDATED", {MD5: "outdated first release, made on x in (-1, 1)"})
    name = "1D_Burgers_Sols_Nu0.01.hdf5"
    with (
        web_server(Behaviour(CONTENT)) as address,
        pytest.raises(InputError, match=r"first release, made on x in \(-1"),
    ):
        published.provide_published(tmp_path / name, PublishedSource(address=address + "/{id}"), QUICK)
    (tmp_path / name).write_bytes(CONTENT)
    with pytest.raises(InputError, match="first release"):
        published.provide_published(tmp_path / name, PublishedSource(), QUICK)
    with pytest.raises(InputError, match="not published, must be one of"):
        published.provide_published(tmp_path / "1D_Burgers_Sols_Nu0.03.hdf5", PublishedSource(), QUICK)


SCRIPT = """
from pathlib import Path
from universal_simulator.acquisition.download import Patience, fetch
from universal_simulator.acquisition.download import WebFile
fetch(WebFile({address!r}), Path({path!r}), {md5!r}, Patience(10, 0.01, 0.05))
"""


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.long)])
def test_after_kill_9_at_random_moments_the_rest_comes(tmp_path, kills):
    """Every kill hits a running download; the server cuts connections too; the end has the right checksum."""
    content = np.random.default_rng(1).bytes(100_000 * (kills + 2) * 2)
    path, md5 = tmp_path / "file", hashlib.md5(content).hexdigest()
    random = np.random.default_rng(2)
    server = Behaviour(content, pace=0.02, cut_after=[int(cut) for cut in random.integers(1, 400_000, 5 * kills)])
    with web_server(server) as address:
        script = SCRIPT.format(address=address, path=str(path), md5=md5)
        for _ in range(kills):
            requests = len(server.asked)
            process = subprocess.Popen([sys.executable, "-c", script])
            while len(server.asked) == requests and process.poll() is None:
                time.sleep(0.002)
            time.sleep(random.uniform(0, 0.08))
            assert process.poll() is None, "the kill came too late to test anything"
            process.kill()
            process.wait()
            assert not path.exists()
        server.pace, server.cut_after = 0.0, []
        had = part(path).stat().st_size
        assert fetch(WebFile(address), path, md5, QUICK) == len(content) - had
    assert had > 0
    assert path.read_bytes() == content
