"""The data card: what these numbers are, in a page that stays beside them."""

from typing import Any

from universal_simulator.acquisition.acquire import equations
from universal_simulator.configuration import Data
from universal_simulator.fields.statistics import Statistics

DEPARTURES = """\
## Differences from the published generator

- Initial conditions are of the same family; the true period is used (the published code divides by the distance of the
  first and the last cell, which leaves a small jump at the boundary), and every draw is independent (the published code
  uses random keys twice).
- Ours are solved by a pseudo-spectral method with as many points as the thinnest front needs, the published ones by a
  finite-volume scheme on the grid itself. Where fronts are thinner than a cell (ν ≤ 0.002) the published files contain
  that scheme's own dissipation, and the two differ by it.
- Ours are values at the cell centres, not averages over cells; sample i begins alike for every viscosity.
"""


def data_card(data: Data, manifest: dict[str, Any], statistics: Statistics) -> str:
    """Write the card in Markdown."""
    lines = [f"# Data card: {data.equation}", "", "## Equation and conventions", ""]
    lines += [f"- {of.identity}, periodic on x in (0, 1)" for of in equations(data)]
    lines += [
        f"- {statistics.points} cell centres (i + ½)/{statistics.points}; the models' time step is "
        f"{statistics.time_step:g}, every {data.time_stride} snapshots",
        f"- source: {data.source.model_dump_json()}",
        "",
        "## Files",
        "",
        "| file | samples × snapshots × points | u | mass drift | checksums | CRC-32 of all | how it came |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, entry) for name, entry in manifest["files"].items()),
        "",
        *(
            f"- {name} was made with {entry['settings']}"
            for name, entry in manifest["files"].items()
            if entry["settings"]
        ),
        "",
        "Checked: layout, grid (uniform, periodic cell centres), time axis, parameter, every number finite, every "
        "checksum there is. Mass drift is the largest change of a spatial mean from the first snapshot to the last.",
        "",
        DEPARTURES,
        "## Splits",
        "",
        f"Whole trajectories, drawn with seed {data.split_seed}, equally many of each file: {data.train} to train on, "
        f"{data.validation} to choose by, {data.test} to judge by. No two splits share a trajectory.",
        "",
        "## Statistics of the training split",
        "",
        *(f"- {name}: {value}" for name, value in statistics.model_dump().items()),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, entry: dict[str, Any]) -> str:
    found, how = entry["checks"], entry["origin"]
    came = ", ".join(f"{key} {value}" for key, value in how.items()) or "was there"
    return (
        f"| {name} | {found['samples']} × {found['snapshots']} × {found['points']} | {found['minimum']:.3g} … "
        f"{found['maximum']:.3g} | {found['mass_drift']:.1e} | {found['checksums']} | {found['content']} | {came} |"
    )
