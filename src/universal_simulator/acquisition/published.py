"""PDEBench's published Burgers files (DOI 10.18419/darus-2986) and the checksums to demand."""

from pathlib import Path

from universal_simulator.acquisition.download import Patience, fetch
from universal_simulator.acquisition.http import WebFile
from universal_simulator.configuration import PublishedSource
from universal_simulator.support.errors import InputError

FILES = {
    "1D_Burgers_Sols_Nu0.001.hdf5": (268190, "44cb784d5a07aa2b1c864cabdcf625f9"),
    "1D_Burgers_Sols_Nu0.002.hdf5": (268193, "edf1cd13622d151dfde3e4e5af7a95b4"),
    "1D_Burgers_Sols_Nu0.004.hdf5": (268191, "435e1fecb8a64a0b4563bb8d09f81c33"),
    "1D_Burgers_Sols_Nu0.01.hdf5": (281363, "e6d9a4f62baf9a29121a816b919e2770"),
    "1D_Burgers_Sols_Nu0.02.hdf5": (268189, "7c8c717a3a7818145877baa57106b090"),
    "1D_Burgers_Sols_Nu0.04.hdf5": (281362, "16f4c7afaf8c16238be157e54c9297c7"),
    "1D_Burgers_Sols_Nu0.1.hdf5": (268185, "660ba1008d3843bf4e28d2895eb607ce"),
    "1D_Burgers_Sols_Nu0.2.hdf5": (268187, "01d9333254dff2f3cad090b61f5cf695"),
    "1D_Burgers_Sols_Nu0.4.hdf5": (268192, "58327a6107e8f9defb5075677cc42533"),
    "1D_Burgers_Sols_Nu1.0.hdf5": (281365, "9021eba35332d127306f11ef84c1a60f"),
    "1D_Burgers_Sols_Nu2.0.hdf5": (281364, "70fe0c24d9313e70f6059e5212bdb3d7"),
    "1D_Burgers_Sols_Nu4.0.hdf5": (268188, "8af7f70166c00ffad377c80fa477d81f"),
}
"""Name: the id in the archive, and the md5."""

OUTDATED = {
    "5f7242c820efb37bae3d82e983c04e43",
    "0a49257a0e5cd644459d3984185bb033",
    "f50828c7d253d4b9cdb15b21c175b506",
    "69c1890c49fc7ba36aac7107c41d5f41",
}
"""Files of the first release, solved on x in (-1, 1): another equation in our units. They are still in circulation."""


def provide(path: Path, source: PublishedSource, patience: Patience | None = None) -> dict[str, object]:
    """See to it that the published file is there."""
    if path.name not in FILES:
        raise InputError(f"{path.name} = not published, must be one of {', '.join(FILES)}; use data.source.kind=solve")
    number, md5 = FILES[path.name]
    address = source.address.format(id=number)
    try:
        received = fetch(WebFile(address), path, md5, patience)
    except InputError as error:
        raise explained(error) from None
    return {"address": address, "md5": md5, "received": received}


def explained(error: InputError) -> InputError:
    """Say why a checksum is refused, where we know."""
    if any(md5 in str(error) for md5 in OUTDATED):
        return InputError(f"{error} (this md5 is that of the outdated first release, made on x in (-1, 1))")
    return error
