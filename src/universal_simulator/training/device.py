"""Where to compute."""

import torch


def choose(device: str) -> torch.device:
    """Return the device of this name; ``auto`` is the GPU where there is one."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)
