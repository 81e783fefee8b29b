"""What bytes and shared forecasts save a server, in CPU seconds: ``python -m benchmarks.serving``."""

import argparse
import io
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console

from universal_simulator.serving import Emulator, payloads
from universal_simulator.serving.request import ask
from universal_simulator.serving.server import joined


def seconds(work: Callable[[], object], least: float = 1.0) -> float:
    """Return CPU seconds of one call, the mean of as many as take ``least``."""
    work()
    begun, count = time.process_time(), 0
    while (spent := time.process_time() - begun) < least:
        work()
        count += 1
    return spent / count


def main() -> None:
    """Print sizes and CPU seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="shipped:golden")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--points", type=int, default=128)
    arguments, console = parser.parse_args(), Console(width=140, highlight=False)
    torch.set_num_threads(1)
    u0 = np.random.default_rng(0).normal(size=(100, 1024)).astype(np.float32)
    stream = io.BytesIO()
    np.savez(stream, u0=u0, nu=0.01)
    bodies = {payloads.JSON: json.dumps({"inputs": {"u0": u0.tolist(), "nu": 0.01}}).encode()}
    for media, body in (bodies | {payloads.NPZ: stream.getvalue()}).items():
        took = seconds(lambda media=media, body=body: payloads.unpacked(media, body, {}))  # type: ignore[misc]
        back = seconds(lambda media=media: payloads.packed(media, {"u": u0, "warnings": []}))  # type: ignore[misc]
        console.print(
            f"100 × 1024 points, {media}: {len(body) / 1e6:.1f} MB, {1e3 * took:.1f} ms in, {1e3 * back:.1f} ms out"
        )
    emulator, x = Emulator.load(arguments.model, "cpu"), (np.arange(arguments.points) + 0.5) / arguments.points
    wave = np.sin(2 * np.pi * x)[None]
    for members in (None, 8):
        requests = [ask(emulator.model, wave, {"nu": 0.01}, [0.1], members, False, i) for i in range(arguments.clients)]
        alone = seconds(lambda many=requests: [emulator.answer(one) for one in many])  # type: ignore[misc]
        together = seconds(lambda many=requests: emulator.answer(joined(many)))  # type: ignore[misc]
        console.print(
            f"{arguments.clients} clients, one field, {members or 'no'} members: {alone:.2f} CPU s one by one, "
            f"{together:.2f} together"
        )


if __name__ == "__main__":
    main()
