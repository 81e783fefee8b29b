"""What the GPU says of itself before work is given to it."""

import subprocess

FIELDS = (
    "name", "driver_version", "memory.total", "memory.used", "temperature.gpu", "power.draw", "clocks.sm",
    "utilization.gpu", "ecc.errors.uncorrected.volatile.total", "clocks_event_reasons.active",
)  # fmt: skip


def gpu_health() -> list[str]:
    """Return one line for each GPU, or one that says why there is none."""
    command = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return ["GPU: none (there is no nvidia-smi)"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"GPU: unknown, nvidia-smi does not answer ({type(error).__name__})"]
    if done.returncode != 0:
        return [f"GPU: unknown, nvidia-smi failed ({' '.join((done.stdout + done.stderr).split())[:150]})"]
    return [f"GPU {number}: {_named(line)}" for number, line in enumerate(done.stdout.strip().splitlines())]


def _named(line: str) -> str:
    values = [value.strip() for value in line.split(",")]
    return ", ".join(f"{name} {value}" for name, value in zip(FIELDS, values, strict=False))
