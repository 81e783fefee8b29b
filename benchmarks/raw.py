"""Raw files of Burgers' equation of any size, and what is normal in it: what several measurements begin with."""

from pathlib import Path

from universal_simulator.acquisition import writing
from universal_simulator.acquisition.solve import Order
from universal_simulator.acquisition.store import RawStore
from universal_simulator.configuration import SolveSource
from universal_simulator.fields.statistics import ChannelStatistics, ParameterStatistics, Statistics
from universal_simulator.problems import find

BURGERS = find("burgers")
CHANNEL = ChannelStatistics(
    name="u", mean_average=0.0, mean_spread=0.5, log_rms_average=-1.0, log_rms_spread=1.0, rms=0.5, increment_rms=0.05,
    minimum=-2.0, maximum=2.0,
)  # fmt: skip
STATISTICS = Statistics(
    channels=(CHANNEL,),
    parameters=(ParameterStatistics(parameter=BURGERS.facts.parameters[0], minimum=0.01, maximum=0.01),),
    time_step=0.02, trajectories=1, snapshots=1, shape=(1024,), data="0" * 16,
)  # fmt: skip


def order(nu: float = 0.01, source: SolveSource | None = None) -> Order:
    """Return trajectories of one viscosity, as a run would solve them."""
    return Order.of(BURGERS, (nu,), source or SolveSource())


def raw_path(folder: Path, nu: float = 0.01) -> Path:
    """Return where a run looks for them."""
    return RawStore(folder, "burgers").folder / BURGERS.file_name((nu,))


def allocated(folder: Path, samples: int) -> Path:
    """Lay out a sparse file of so many trajectories, all zeros."""
    path = raw_path(folder)
    writing.allocate(path, samples, order().description, {})
    return path
