"""Run the project as a module: ``python -m universal_simulator --pipelines=full --params=dry_run``.

Works in the project folder, and for an installed wheel with ``--conf-source``.
"""

import sys
from pathlib import Path

from kedro.framework.project import configure_project

from universal_simulator.cli import run


def main(*arguments: str) -> object:
    """Run one pipeline; the arguments are those of ``kedro run``."""
    configure_project(Path(__file__).parent.name)
    words = list(arguments or sys.argv[1:])
    return run.main(words[1:] if words[:1] == ["run"] else words, prog_name="python -m universal_simulator")


if __name__ == "__main__":
    main()
