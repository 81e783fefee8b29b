"""Torch's elastic launcher, started as a process of its own: one on each machine."""

import socket
import subprocess
import sys
import time

from universal_simulator.configuration import Compute

RESTARTS = 3
"""Times that all processes are started anew after one has died, before the run gives up."""

PARENT = "UNIVERSAL_SIMULATOR_JOBS_OF"
"""Environment variable of the processes: number of the one that they work for on their machine, and end with."""
RUN = "universal_simulator"
JOIN = "python -m universal_simulator.processes"
JOIN_S = 3600
"""Longest wait for the other machines."""
FRESH_STORE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""Else processes that begin anew read, in the store of those before, the addresses of the dead, and wait for them."""
LAUNCHER_S_OWN = ("PET_", "TORCHELASTIC_")
"""Variables by which somebody else's launcher would steer ours."""
LOOPBACK = "127.0.0.1"
PORT_OF_NOBODY = 9
"""Nothing is sent there: a socket that is bound for an address only tells which way it would go."""


def start(
    processes: int, nodes: int, rendezvous: str | None, *, host: bool, environment: dict[str, str]
) -> subprocess.Popen:
    """Start this machine's processes; ``rendezvous`` (``host:port``) is where several machines find each other."""
    words = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}", f"--nnodes={nodes}"]
    words += [f"--max-restarts={RESTARTS}", "--monitor-interval=0.2"]
    if rendezvous:
        words += ["--rdzv-backend=c10d", f"--rdzv-endpoint={rendezvous}", f"--rdzv-id={RUN}"]
        words += [
            f"--rdzv-conf=is_host={str(host).lower()},join_timeout={JOIN_S}",
            f"--local-addr={own_address(rendezvous)}",
        ]
    else:
        words += ["--standalone", f"--local-addr={LOOPBACK}"]  # else the machine's name, which may mean nothing
    words += ["-m", "universal_simulator.processes.worker"]
    ours = {name: value for name, value in environment.items() if not name.startswith(LAUNCHER_S_OWN)}
    return subprocess.Popen(words, env=ours | FRESH_STORE, stdin=subprocess.DEVNULL, start_new_session=True)


def join_command(compute: Compute) -> str:
    """Return what to type on each other machine."""
    return f"{JOIN} {compute.rendezvous} --nodes={compute.nodes} --processes={compute.processes}"


def reachable(rendezvous: str, wait_s: float) -> bool:
    """Wait until somebody listens there; tell whether anybody does."""
    host, _, port = rendezvous.rpartition(":")
    end = time.monotonic() + wait_s
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                return True
        except (OSError, ValueError, OverflowError):
            if time.monotonic() > end:
                return False
            time.sleep(0.5)


def own_address(rendezvous: str) -> str:
    """Return this machine's address as the machines at ``rendezvous`` see it; its name may mean itself to others."""
    host = rendezvous.rpartition(":")[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, PORT_OF_NOBODY))
        return str(probe.getsockname()[0])
