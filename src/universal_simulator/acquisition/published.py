"""PDEBench's published files: told how large before they come, fetched, and held against the checksums to demand."""

import logging
from collections.abc import Sequence
from pathlib import Path

from universal_simulator.acquisition.archive import FILES, Published
from universal_simulator.acquisition.download import Patience, checksum, fetch
from universal_simulator.acquisition.http import WebFile
from universal_simulator.acquisition.space import demand_space
from universal_simulator.acquisition.writing import part
from universal_simulator.configuration import PublishedSource
from universal_simulator.support.errors import InputError

log = logging.getLogger(__name__)

_INTERVAL = "outdated first release, made on x in (-1, 1)"
_TWICE = "outdated release before August 2023, in which everything moves at twice its speed"
OUTDATED = {
    "5f7242c820efb37bae3d82e983c04e43": _INTERVAL,
    "eb7cc49d7d4d346d7abe9af9eee3f86b": _INTERVAL,
    "e1c40dd4c0d8b858231408009e8a8def": _INTERVAL,
    "0a49257a0e5cd644459d3984185bb033": _INTERVAL,
    "79047cf2f24cb1fac309900f7ca0e8b3": _INTERVAL,
    "4aea33401b9d8dcca6830116717d54fe": _INTERVAL,
    "f50828c7d253d4b9cdb15b21c175b506": _INTERVAL,
    "e9791092deac0d2f54dcaad6e8d047c2": _INTERVAL,
    "3389b8dd9ed15873463878506a0a87e8": _INTERVAL,
    "69c1890c49fc7ba36aac7107c41d5f41": _INTERVAL,
    "fe6a312a9f4058e26dd69b999312ddd1": _INTERVAL,
    "f9f848275533aaebd0aa4683411629af": _INTERVAL,
    "183cd9b7a6c3c5caf0fd89c87f2c4a80": _TWICE,
    "e6b6997e00bc0310308ce14df12fecd4": _TWICE,
    "99d57a5a8d660ba2cb824f41e09c6543": _TWICE,
    "91a599ed8c11447dec8200b0915571a3": _TWICE,
    "24bb9795a558bcc3bc9103b1cb791965": _TWICE,
    "73ec4f7980462a13629234ec2f849e78": _TWICE,
}
"""Files of earlier releases that are still in circulation, and what is wrong with them: twelve of Burgers' viscosities,
six of advection's speeds (PDEBench's repository before August 2023, ``pdebench/data_download/download_metadata.csv``).
"""
OVERHEAD = 10_000_000
"""Bytes by which a file may differ in size from its numbers."""


def announce(folder: Path, files: Sequence[Published]) -> None:
    """Say how large the files are that have to come, and what is wrong with each; refuse what the disk cannot hold."""
    missing = [one for one in files if not (folder / one.name).exists()]
    there = sum(part(folder / one.name).stat().st_size for one in missing if part(folder / one.name).exists())
    needed = sum(one.gigabytes for one in missing)
    if missing:
        each = ", ".join(f"{one.name} {one.gigabytes:.3g} GB" for one in missing)
        log.info("to come from the archive: %.3g GB (%s), %.3g GB of it are here", needed, each, there / 1e9)
        demand_space(folder, max(int(needed * 1e9) - there, 0))
    for family in dict.fromkeys(one.family for one in files):
        for defect in family.defects:
            log.warning("PDEBench's %s: %s (docs/pdebench.md)", family.problem or family.holds, defect)


def provide(path: Path, source: PublishedSource, patience: Patience | None = None) -> dict[str, object]:
    """See to it that the published file is there."""
    if path.name not in FILES:
        raise InputError(f"{path.name} = not published, must be one of {', '.join(FILES)}; use data.source.kind=solve")
    one = FILES[path.name]
    address = source.address.format(id=one.number)
    try:
        received = fetch(WebFile(address), path, one.md5, patience)
    except InputError as error:
        raise explained(error) from None
    return {"address": address, "md5": one.md5, "received": received}


def refuse_outdated(path: Path) -> None:
    """Refuse a file of the user's own that is one of an outdated release; only files of such a size are read for it."""
    one = FILES.get(path.name)
    if one is None or not path.is_file() or abs(path.stat().st_size - one.gigabytes * 1e9) > OVERHEAD:
        return
    if why := OUTDATED.get(md5 := checksum(path)):
        raise InputError(
            f"{path}: md5 = {md5} must be that of a later release, this is the {why}; get it again, with "
            "data.source.kind=published"
        )


def explained(error: InputError) -> InputError:
    """Say why a checksum is refused, where we know."""
    why = next((reason for md5, reason in OUTDATED.items() if md5 in str(error)), None)
    return error if why is None else InputError(f"{error} (this md5 is that of the {why})")
