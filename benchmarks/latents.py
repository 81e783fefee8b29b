"""Speed and memory of encoding many trajectories: ``python -m benchmarks.latents FOLDER``.

Writes a sparse file of the published size (8.2 GB, all zeros: an encoder takes the same time for any numbers), then
encodes it into a memory-mapped store as the pipeline does, with fresh weights of the experiments' sizes.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path
from typing import Literal

from rich.console import Console

from benchmarks.raw import STATISTICS, allocated
from universal_simulator.acquisition.splits import split
from universal_simulator.acquisition.store import RawStore
from universal_simulator.catalog.trajectories import LatentsDataset
from universal_simulator.compute.device import use_threads
from universal_simulator.configuration import Compute, ConvolutionalAutoencoder, Data, Latent, LocalSource
from universal_simulator.fields.trajectories import Trajectories
from universal_simulator.networks.trained import Recipe, Trained
from universal_simulator.pipelines.latents.nodes import precompute_latents

SIZES = {"golden": Latent(tokens=16, dim=32), "sota_v1": Latent(tokens=24, dim=32)}


def main() -> None:
    """Print fields and bytes per second of each size, and the largest resident memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the sparse file and the latents may lie")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--width", type=int, default=16, help="channels; few are quick where only memory is asked")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    console, store = Console(width=140, highlight=False), RawStore(arguments.folder, "burgers")
    path = allocated(arguments.folder, arguments.samples + 2)
    data = Data(source=LocalSource(), train=arguments.samples, validation=1, test=1, time_stride=2)
    trajectories = split(store, data)["train"].open()
    console.print(f"{path.stat().st_size / 1e9:.2f} GB of fields, resident at the start {resident():.2f} GB")
    for name in arguments.sizes:
        recipe = Recipe(
            stage="autoencoder",
            settings=ConvolutionalAutoencoder(width=arguments.width),
            latent=SIZES[name],
            facts=trajectories.facts,
            grid=trajectories.grid,
            statistics=STATISTICS,
        )
        target = arguments.folder / f"latents_{name}"
        console.print(f"{name}: {encode(trajectories, recipe, arguments.device, target)}")
        shutil.rmtree(target)
    path.unlink()


def encode(trajectories: Trajectories, recipe: Recipe, device: Literal["cpu", "cuda"], target: Path) -> str:
    """Encode all trajectories into a store, and tell how fast that was."""
    encoder, store = Trained(recipe, recipe.build().eval()), LatentsDataset(str(target))
    begun, busy = time.perf_counter(), time.process_time()
    for chunk in precompute_latents(trajectories, encoder, Compute(device=device)):
        store.save(chunk)
    seconds, busy = time.perf_counter() - begun, time.process_time() - busy
    fields = len(trajectories) * len(trajectories.times)
    size = sum(file.stat().st_size for file in target.iterdir()) / 1e6
    read = fields * trajectories.grid.size * 4 / 1e6
    return (
        f"{fields / seconds:.0f} fields/s ({fields / busy:.0f} per CPU second), {read / seconds:.0f} MB/s of fields "
        f"read, {size / seconds:.0f} MB/s of latents written ({size / 1000:.2f} GB in {seconds:.0f} s), "
        f"resident at most {resident():.2f} GB"
    )


def resident() -> float:
    """Return the largest resident memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
