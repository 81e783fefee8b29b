"""``python -m universal_simulator.processes HOST:PORT``: let this machine take part in another one's ``kedro run``."""

import os
import signal
import sys

import click

from universal_simulator.processes import agent


@click.command(name=agent.JOIN)
@click.argument("rendezvous")
@click.option("--nodes", default=2, show_default=True, help="Machines in all, as compute.nodes says there.")
@click.option("--processes", default=1, show_default=True, help="Processes of this machine, the same on each.")
@click.option("--wait-s", default=agent.JOIN_S, show_default=True, help="Longest wait for that run to begin, seconds.")
def join(rendezvous: str, nodes: int, processes: int, wait_s: int) -> None:
    """Take part in the run of the machine at RENDEZVOUS (host:port, its compute.rendezvous) until it is over.

    Both must see the data's folder (UNIVERSAL_SIMULATOR_DATA) at the same path.
    """
    if not agent.reachable(rendezvous, wait_s):
        raise click.ClickException(
            f"RENDEZVOUS = {rendezvous}: must be host:port of a machine whose run has begun, compute.rendezvous there; "
            "correct it, or raise --wait-s"
        )
    environment = os.environ | {agent.PARENT: str(os.getpid())}
    launcher = agent.start(processes, nodes, rendezvous, host=False, environment=environment)
    signal.signal(signal.SIGTERM, lambda *_: launcher.terminate())
    try:
        code = launcher.wait()
        if code and not agent.reachable(rendezvous, 0):  # whoever leaves first takes the meeting point along
            click.echo(f"The run at {rendezvous} is over, or its machine is gone: how it ended is told there.")
            code = 0
        sys.exit(code)
    except KeyboardInterrupt:
        launcher.terminate()
        sys.exit(launcher.wait() and 130)


if __name__ == "__main__":
    join()
