"""Raw data from wherever they come: solved here, published, in a bucket, or in a folder.

A file in an S3-compatible bucket: Amazon's, Backblaze B2, MinIO.

One raw artefact from any source: after this, nothing knows which it was.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from universal_simulator.acquisition import download, solve
from universal_simulator.acquisition.archive import FILES
from universal_simulator.acquisition.download import (
    LONGEST_REASON,
    Interrupted,
    Patience,
    Stream,
    explained,
    fetch,
    no_patience_mends,
)
from universal_simulator.acquisition.store import RawFile, RawStore
from universal_simulator.configuration import BucketSource, Data, LocalSource, PublishedSource, SolveSource
from universal_simulator.support.errors import InputError
from universal_simulator.support.files import refuse_no_scheme

PIECE = 1 << 23
CONNECTION = {"connect_timeout": 15, "read_timeout": 60, "retries": {"max_attempts": 2}}


@dataclass(frozen=True)
class BucketFile:
    """An object, read range by range."""

    files: Any
    """The ``s3fs.S3FileSystem``."""
    address: str
    size: int

    def stream(self, start: int) -> Stream:
        """Ask for the rest of the object."""
        return Stream(start if start <= self.size else 0, self.size, self._pieces(start if start <= self.size else 0))

    def _pieces(self, start: int) -> Iterator[bytes]:
        while start < self.size:
            end = min(start + PIECE, self.size)
            piece = _asked(partial(self.files.cat_file, self.address, start=start, end=end))
            start += len(piece)
            yield piece


def provide_from_bucket(
    path: Path, source: BucketSource, credentials: Mapping[str, Any] | None = None, patience: Patience | None = None
) -> dict[str, object]:
    """See to it that the bucket's file is there."""
    files = _connect(credentials or {})
    address = f"{source.uri.removeprefix('s3://').rstrip('/')}/{path.name}"
    size, md5 = _promised(files, address, source)
    try:
        received = fetch(BucketFile(files, address, size), path, md5, patience)
    except InputError as error:
        raise explained(error) from None
    return {"address": f"s3://{address}", "md5": md5, "received": received}


def _connect(credentials: Mapping[str, Any]) -> Any:
    """Open the bucket; without a key, the usual places are searched (``AWS_ACCESS_KEY_ID``, ``~/.aws``)."""
    import s3fs

    given = {name: value for name, value in credentials.items() if value not in (None, "")}
    client = {name: value for name, value in given.pop("client_kwargs", {}).items() if value not in (None, "")}
    refuse_no_scheme("B2_ENDPOINT", client.get("endpoint_url"))
    return s3fs.S3FileSystem(**given, client_kwargs=client, config_kwargs=CONNECTION, skip_instance_cache=True)


def _promised(files: Any, address: str, source: BucketSource) -> tuple[int, str]:
    """Return size and md5: the one declared, or that of a file ``<name>.md5`` beside it, or the ETag if it is one."""
    name = address.rpartition("/")[2]
    try:
        info = _patiently(lambda: files.info(address))
    except FileNotFoundError:
        raise InputError(f"s3://{address} = not there, must be; {_nearest(files, address)}") from None
    if declared := source.md5.get(name):
        return info["size"], declared.lower()
    if _patiently(lambda: files.exists(address + ".md5")):
        said = _patiently(lambda: files.cat_file(address + ".md5")).decode("utf-8", "replace").split()
        if said and re.fullmatch(r"[0-9a-fA-F]{32}", said[0]):
            return info["size"], said[0].lower()
        raise InputError(f"s3://{address}.md5 must begin with 32 hexadecimal digits; write it with md5sum")
    if re.fullmatch(r'"?[0-9a-f]{32}"?', tag := str(info.get("ETag", ""))):
        return info["size"], tag.strip('"')
    raise InputError(
        f"s3://{address}: md5 = unknown (its ETag {tag} is of an upload in parts), must be known; put a file "
        f"{name}.md5 beside it, or give data.source.md5"
    )


def _nearest(files: Any, address: str) -> str:
    folder, _, name = address.rpartition("/")
    try:
        present = [entry.rpartition("/")[2] for entry in _patiently(lambda: files.ls(folder))]
    except FileNotFoundError:
        return f"there is no folder s3://{folder}: correct data.source.uri"
    near = difflib.get_close_matches(name, present, 1, 0.6)
    return f"did you mean {near[0]}?" if near else f"the folder holds {', '.join(present[:20]) or 'nothing'}"


def _patiently(ask: Any) -> Any:
    """Ask for something small; a passing trouble is the user's to hear of."""
    try:
        return _asked(ask)
    except Interrupted as error:
        raise InputError(f"bucket = out of reach ({error}), must answer; check the endpoint and the network") from None


def _asked(ask: Any) -> Any:
    """Turn what a bucket's client raises into what may pass (Interrupted) and what stays (InputError)."""
    from botocore import exceptions as told

    try:
        return ask()
    except FileNotFoundError:
        raise
    except (told.NoCredentialsError, PermissionError) as error:
        raise InputError(
            f"bucket credentials = refused ({_said(error)}), must allow reading; set B2_KEY, "
            "B2_SECRET and B2_ENDPOINT, or conf/local/credentials.yml"
        ) from None
    except (told.ProfileNotFound, told.ConfigParseError, told.ParamValidationError, ValueError) as error:
        raise InputError(
            f"bucket = not asked ({_said(error)}), must be; correct data.source.uri, B2_ENDPOINT or AWS_* variables"
        ) from None
    except (told.BotoCoreError, told.ClientError, OSError) as error:
        lasting = no_patience_mends("bucket", error)
        raise lasting or Interrupted(f"the bucket answers {type(error).__name__}: {_said(error)}") from None


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__


def acquire(store: RawStore, data: Data) -> dict[str, dict[str, Any]]:
    """See to it that every file is in the store; return, by file name, what was done for it."""
    files = store.files(data)
    if isinstance(data.source, PublishedSource):
        download.announce(store.folder, [FILES[one.path.name] for one in files])
    return {one.path.name: _acquire(store, one, data) for one in files}


def order(store: RawStore, one: RawFile, source: SolveSource) -> solve.Order:
    """Return what is to be solved for a file."""
    assert one.parameters is not None, "only files of others leave their parameters open"
    family = one.member.family if one.member else None
    own = source.model_copy(update={"family": family}) if family else source
    return solve.Order.of(store.problem, one.parameters, own)


def _acquire(store: RawStore, one: RawFile, data: Data) -> dict[str, Any]:
    match data.source:
        case SolveSource() as source:
            return solve.provide(one.path, order(store, one, source), source.samples or data.needed)
        case PublishedSource() as source:
            return download.provide_published(one.path, source)
        case BucketSource() as source:
            return provide_from_bucket(one.path, source, store.credentials)
        case LocalSource():
            download.refuse_outdated(one.path)
            return {}
        case _:
            assert_never(data.source)
