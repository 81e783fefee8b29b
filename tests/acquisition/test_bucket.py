"""A bucket gives the same as a web server: tried against a local S3 server, with the client killed at random moments."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import s3fs

from universal_simulator.acquisition import sources
from universal_simulator.acquisition.download import Patience
from universal_simulator.acquisition.writing import part
from universal_simulator.configuration import BucketSource
from universal_simulator.support.errors import InputError

moto_server = pytest.importorskip("moto.server")

NAME = "1D_Burgers_Sols_Nu0.01.hdf5"
CONTENT = np.random.default_rng(0).bytes(2_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(attempts=3, first_wait=0.01, longest_wait=0.05)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def credentials(endpoint: str) -> dict[str, object]:
    return {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": endpoint, "region_name": "eu-central-003"}}


@pytest.fixture
def remote(credentials) -> Iterator[s3fs.S3FileSystem]:
    """Return an empty bucket called ``bucket``."""
    files = s3fs.S3FileSystem(**credentials, skip_instance_cache=True)
    files.mkdir("bucket")
    yield files
    files.rm("bucket", recursive=True)


def provide(folder: Path, credentials: dict[str, object], **source: object) -> dict[str, object]:
    return sources.provide_from_bucket(
        folder / NAME, BucketSource(uri="s3://bucket/burgers", **source), credentials, QUICK
    )


def test_an_object_comes_once_checked_by_its_etag(tmp_path, credentials, remote):
    remote.pipe_file(f"bucket/burgers/{NAME}", CONTENT)
    assert provide(tmp_path, credentials)["received"] == len(CONTENT)
    assert (tmp_path / NAME).read_bytes() == CONTENT
    assert provide(tmp_path, credentials)["received"] == 0


def test_an_upload_in_parts_needs_a_checksum_from_elsewhere(tmp_path, credentials, remote):
    """Its ETag is no md5; a file beside it or the configuration may give one, and a wrong one is refused."""
    with remote.open(f"bucket/burgers/{NAME}", "wb", block_size=5 * 2**20) as file:
        for _ in range(4):
            file.write(CONTENT)
    whole = hashlib.md5(CONTENT * 4).hexdigest()
    with pytest.raises(InputError, match=r"of an upload in parts.* data.source.md5"):
        provide(tmp_path, credentials)
    assert provide(tmp_path / "declared", credentials, md5={NAME: whole.upper()})["received"] == 4 * len(CONTENT)
    remote.pipe_file(f"bucket/burgers/{NAME}.md5", f"{whole}  {NAME}\n".encode())
    assert provide(tmp_path / "beside", credentials)["received"] == 4 * len(CONTENT)
    with pytest.raises(InputError, match="must be " + MD5):
        provide(tmp_path / "wrong", credentials, md5={NAME: MD5})
    assert not (tmp_path / "wrong" / NAME).exists()
    remote.pipe_file(f"bucket/burgers/{NAME}.md5", b"see elsewhere")
    with pytest.raises(InputError, match="32 hexadecimal digits"):
        provide(tmp_path / "odd", credentials)


def test_what_is_not_there_is_named_with_what_is(tmp_path, credentials, remote):
    remote.pipe_file("bucket/burgers/1D_Burgers_Sols_Nu0.1.hdf5", CONTENT)
    with pytest.raises(InputError, match=r"not there, must be; did you mean 1D_Burgers_Sols_Nu0.1.hdf5"):
        provide(tmp_path, credentials)
    with pytest.raises(InputError, match=r"correct data.source.uri"):
        sources.provide_from_bucket(tmp_path / NAME, BucketSource(uri="s3://nobody/x"), credentials, QUICK)


def test_a_bucket_out_of_reach_is_told_in_one_line(tmp_path, credentials, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    away = credentials | {"client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}}
    with pytest.raises(InputError, match="out of reach") as refused:
        provide(tmp_path, away)
    assert "\n" not in str(refused.value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"set B2_KEY, B2_SECRET and B2_ENDPOINT"):
        provide(tmp_path, {"key": None, "secret": None, "client_kwargs": credentials["client_kwargs"]})


SCRIPT = """
from pathlib import Path
from universal_simulator.acquisition import sources as bucket
from universal_simulator.acquisition.download import Patience
from universal_simulator.configuration import BucketSource
bucket.PIECE = 100_000
bucket.provide_from_bucket(Path({path!r}), BucketSource(uri="s3://bucket/burgers"), {credentials!r}, Patience(10, 0.01, 0.05))
"""


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
def test_after_kill_9_at_random_moments_the_rest_comes(tmp_path, credentials, remote, kills):
    """Ranges of 100 kB arrive every few milliseconds; each kill hits while they do."""
    content = np.random.default_rng(1).bytes(10_000_000 * kills)
    remote.pipe_file(f"bucket/burgers/{NAME}", content)
    remote.pipe_file(f"bucket/burgers/{NAME}.md5", hashlib.md5(content).hexdigest().encode())
    path, random, had = tmp_path / NAME, np.random.default_rng(2), [0]
    script = SCRIPT.format(path=str(path), credentials=credentials)
    for _ in range(kills):
        process = subprocess.Popen([sys.executable, "-c", script])
        while process.poll() is None and (part(path).stat().st_size if part(path).exists() else 0) == had[-1]:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        assert process.wait() != 0, "the kill came too late to test anything"
        had.append(part(path).stat().st_size)
    assert had == sorted(had)
    assert provide(tmp_path, credentials)["received"] == len(content) - had[-1]
    assert path.read_bytes() == content
