"""PDEBench's files (DOI 10.18419/darus-2986): what they hold and what is wrong with them, family by family; checksums.

Facts are of PDEBench's writers, loaders and configurations; defects that are called emulated were found by repeating
the documented scheme, as no published file was opened. How each was found: docs/pdebench.md.

Ids and checksums are those of the list in PDEBench's repository (``pdebench/data_download/pdebench_data_urls.csv``,
2024-12-28); shapes are those of its writers and loaders, sizes the bytes of the numbers. No published file was opened.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from universal_simulator.configuration import Data, PublishedSource, Span
from universal_simulator.fields.grid import Side
from universal_simulator.problems.problem import Problem
from universal_simulator.support.errors import InputError

SOURCE = "PDEBench datasets, DOI 10.18419/darus-2986, licence CC BY 4.0"
CITATION = "M. Takamoto, T. Praditia, R. Leiteritz, D. MacKinlay, F. Alesiani, D. Pflüger, M. Niepert, PDEBench: An \
Extensive Benchmark for Scientific Machine Learning, NeurIPS 2022 Datasets and Benchmarks, arXiv 2210.07182"


@dataclass(frozen=True)
class Family:
    """What the files of one equation have in common."""

    problem: str
    """Whose equation they obey; empty where there is none here."""
    channels: tuple[str, ...]
    axes: tuple[str, ...] = ("x",)
    """Of space, in the order of the arrays."""
    side: Side = "periodic"
    only_open: bool = False
    """Whether they lack channels of that problem, so that only ``data_only`` can read them."""
    holds: str = ""
    defects: tuple[str, ...] = ()
    """One line each, for the log and the data card."""


ADVECTION = Family(
    "advection",
    ("u",),
    holds="u_t + β u_x = 0, sums of at most two sines, a tenth of them windowed",
    defects=(
        "limited second-order upwind: edges of windows are smeared, error against the exact shift about 1e-3",
        "sample i begins alike in all eight files (one random key), and all windows are equally wide",
    ),
)
BURGERS = Family(
    "burgers",
    ("u",),
    holds="u_t + (u²/2)_x = (ν/π) u_xx, sums of at most two sines, a tenth of them windowed",
    defects=(
        "finite volumes on 1024 cells: where fronts are thinner than a cell (ν ≤ 0.002) they hold the scheme's "
        "dissipation",
        "sample i begins alike in all twelve files (one random key)",
    ),
)
REACTION = Family(
    "reaction_diffusion",
    ("u",),
    holds="u_t = ν u_xx + ρ u (1 - u), each initial field brought to 0 … 1",
    defects=(
        "the reaction is lost to single precision: with ρ = 1 it runs at 0 to 1.8 times its rate, depending on ν and "
        "u (emulated: 0.5 becomes 0.65 instead of 0.73 in one time unit)",
        "flat to 1 % by t = 0.25 for every ν: three quarters of each trajectory are one number",
        "sample i begins alike in all sixteen files (one random key)",
    ),
)
_GAS = (
    "the viscosities are kinematic (multiplied by the local density), other than the paper's equation",
    "the pressure of one run at t = 0 is ten times the density of the next: random splits share shapes",
)
GAS = Family(
    "compressible",
    ("density", "pressure", "Vx"),
    holds="density, pressure and velocity of a viscous gas, Γ = 5/3, on (-1, 1), half of the initial fields windowed",
    defects=_GAS,
)
OPEN_GAS = Family(
    "compressible_open",
    ("density", "pressure", "Vx"),
    side="open",
    holds="the same gas between open sides, practically without viscosity: sums of sines, or steps",
    defects=(*_GAS, "in the file of steps density, velocity and pressure jump at three different places"),
)
SORPTION = Family(
    "diffusion_sorption",
    ("u",),
    side="open",
    holds="u_t = D/R(u) u_xx, u = 1 half a cell outside of x = 0, -D u_x behind x = 1, t to 500",
    defects=(
        "a family of one number: interpolation between neighbours in it has a relative error of 5e-5",
        "the default tolerance of RK45 leaves 1.3 % error on average, 1.7 % at the end (emulated)",
    ),
)
PATTERNS = Family(
    "diffusion_reaction",
    ("u", "v"),
    ("y", "x"),
    "wall",
    holds="FitzHugh-Nagumo from white noise on (-1, 1)², a five-point difference on 128² cells",
    defects=("white noise in every cell has no limit as the grid is refined",),
)
DAM = Family(
    "shallow_water",
    ("h",),
    ("x", "y"),
    "open",
    only_open=True,
    holds="height of a radial dam break on (-2.5, 2.5)², no wave reaching a side",
    defects=(
        "at most 81 different trajectories among 1000: each of the last and first hundred has a twin among the "
        "others, and a look-up by the first frame has no error (emulated)",
        "h alone is stored: without hu and hv the state is not determined",
    ),
)
PLANE_GAS = Family(
    "compressible_2d",
    ("density", "pressure", "Vx", "Vy"),
    ("x", "y"),
    holds="density, pressure and velocity of a viscous gas on (0, 1)², M the Mach number of the initial fields",
    defects=(
        "the mixed derivatives of the viscous stress are absent: a Taylor-Green vortex decays at 10/3 η k², not 2 η k²",
        "with η = 0.1 the velocities have died after a few frames, and scores divide by almost nothing",
        "files of 512² have no viscosity that the grid resolves: they hold the scheme's dissipation",
        "frames 0.05 apart are too coarse for finite differences in time",
    ),
)
SPACE_GAS = Family(
    "",
    (*PLANE_GAS.channels, "Vz"),
    ("x", "y", "z"),
    holds="the same gas in three dimensions",
    defects=PLANE_GAS.defects,
)
INCOMPRESSIBLE = Family(
    "",
    ("velocity_x", "velocity_y", "particles"),
    ("x", "y"),
    "wall",
    holds="velocity and a tracer that a steady force moves, no slip at the walls",
    defects=(
        "the released generator does not take the settings of its own configuration: domain and force are unknown",
        "24 of the 274 listed files are copies of others; the velocity is resampled and not free of divergence",
    ),
)


@dataclass(frozen=True)
class Published:
    """One file of the archive."""

    name: str
    number: int
    """The archive's id."""
    md5: str
    family: Family
    shape: tuple[int, ...]
    """Samples, snapshots, then points along each axis."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    packed: float | None = None
    """Size in GB, where the numbers are compressed."""

    @property
    def samples(self) -> int:
        """Return the number of trajectories."""
        return self.shape[0]

    @property
    def gigabytes(self) -> float:
        """Return the size: that of the numbers in single precision, where they are not compressed."""
        return self.packed or math.prod(self.shape) * len(self.family.channels) * 4 / 1e9

    def vector(self, problem: Problem) -> tuple[float, ...] | None:
        """Return its parameters in a problem's order; None where it is not one of that problem's."""
        names = [one.name for one in problem.facts.parameters]
        fits = self.family.problem == problem.name and not self.family.only_open
        return tuple(self.parameters[name] for name in names) if fits and set(names) <= set(self.parameters) else None


def _table(family: Family, shape: tuple[int, ...], name: str, rows: str, *names: str) -> Iterator[Published]:
    """Yield files: a row is an id, an md5 and the values that stand in the name."""
    for row in rows.strip().splitlines():
        number, md5, *values = row.split()
        numbers = {key: float(value) for key, value in zip(names, values, strict=True)}
        yield Published(name.format(*values), int(number), md5, family, shape, numbers)


def _files() -> Iterator[Published]:
    yield from _table(ADVECTION, (10_000, 201, 1024), "1D_Advection_Sols_beta{}.hdf5", _ADVECTION, "beta")
    yield from _table(BURGERS, (10_000, 201, 1024), "1D_Burgers_Sols_Nu{}.hdf5", _BURGERS, "nu")
    yield from _table(REACTION, (10_000, 101, 1024), "ReacDiff_Nu{}_Rho{}.hdf5", _REACTION, "nu", "rho")
    line, steps, gas = (10_000, 101, 1024), (10_000, 81, 1024), ("eta", "zeta")
    yield from _table(GAS, line, "1D_CFD_Rand_Eta{}_Zeta{}_periodic_Train.hdf5", _GAS_LINE, *gas)
    yield from _table(OPEN_GAS, line, "1D_CFD_Rand_Eta{}_Zeta{}_trans_Train.hdf5", _GAS_OPEN, *gas)
    yield from _table(OPEN_GAS, steps, "1D_CFD_Shock_Eta{}_Zeta{}_trans_Train.hdf5", _GAS_STEPS, *gas)
    coarse, fine, plane = (10_000, 21, 128, 128), (1000, 21, 512, 512), ("M", *gas)
    yield from _table(PLANE_GAS, coarse, "2D_CFD_Rand_M{}_Eta{}_Zeta{}_periodic_128_Train.hdf5", _GAS_128, *plane)
    yield from _table(PLANE_GAS, fine, "2D_CFD_Rand_M{}_Eta{}_Zeta{}_periodic_512_Train.hdf5", _GAS_512, *plane)
    yield from _table(PLANE_GAS, fine, "2D_CFD_Turb_M{}_Eta{}_Zeta{}_periodic_512_Train.hdf5", _GAS_TURBULENT, *plane)
    rand, turb = (100, 21, 128, 128, 128), (600, 21, 64, 64, 64)
    yield from _table(SPACE_GAS, rand, "3D_CFD_Rand_M{}_Eta{}_Zeta{}_periodic_Train.hdf5", _GAS_RAND_3D, *plane)
    yield from _table(SPACE_GAS, turb, "3D_CFD_Turb_M{}_Eta{}_Zeta{}_periodic_Train.hdf5", _GAS_TURB_3D, *plane)
    ground = {"D": 5e-4, "k": 3.5e-4, "n": 0.874, "left": 1.0}
    md5 = ("9d466d1213065619d087319e16d9a938", "b8d0b86064193195ddc30c33be5dc949", "75d838c47aa410694bdc912ea7f22282")
    yield Published("1D_diff-sorp_NA_NA.h5", 133020, md5[0], SORPTION, (10_000, 101, 1024), ground)
    yield Published("2D_diff-react_NA_NA.h5", 133017, md5[1], PATTERNS, (1000, 101, 128, 128))
    yield Published("2D_rdb_NA_NA.h5", 133021, md5[2], DAM, (1000, 101, 128, 128))
    first, flow = "54109d46f9c957317bd670ddb2068ac0", (4, 1000, 512, 512)
    yield Published("ns_incom_inhom_2d_512-0.h5", 133280, first, INCOMPRESSIBLE, flow, packed=8.4)


_ADVECTION = """
255672 b4be2fc3383f737c76033073e6d2ccfb 0.1
255671 d47b52c1be4b6bcaa8748a8df2f5fbb8 0.2
255674 d595bbfd2c659df995a93cd40d6ea568 0.4
255666 f89030c240a1e90b55649776854a84c2 0.7
255675 1fe41923a4123db55bf4e89bea32e142 1.0
255677 0e9beff98693089c38e213a1f2b9ac43 2.0
255676 a87b03ff425496360e2732921805f47d 4.0
255664 72a286ad2fcba574bd20bc045ba82d58 7.0
"""
_BURGERS = """
268190 44cb784d5a07aa2b1c864cabdcf625f9 0.001
268193 edf1cd13622d151dfde3e4e5af7a95b4 0.002
268191 435e1fecb8a64a0b4563bb8d09f81c33 0.004
281363 e6d9a4f62baf9a29121a816b919e2770 0.01
268189 7c8c717a3a7818145877baa57106b090 0.02
281362 16f4c7afaf8c16238be157e54c9297c7 0.04
268185 660ba1008d3843bf4e28d2895eb607ce 0.1
268187 01d9333254dff2f3cad090b61f5cf695 0.2
268192 58327a6107e8f9defb5075677cc42533 0.4
281365 9021eba35332d127306f11ef84c1a60f 1.0
281364 70fe0c24d9313e70f6059e5212bdb3d7 2.0
268188 8af7f70166c00ffad377c80fa477d81f 4.0
"""
_REACTION = """
133177 69a429239778d529cd419ed5888ea835 0.5 1.0
133179 ac907daa7e483d203a5c77567cdea561 0.5 2.0
133180 fb149e7540d8977af158bb8fec1048a3 0.5 5.0
133178 ff7c724b18e7ebe02e19c179852f48ee 0.5 10.0
133181 bd73c2f3448d03e95e98c3831fc8fa70 1.0 1.0
133183 112c01a76447162bd67c8c1073f58ca2 1.0 2.0
133184 fa224c9d143de37ac6914d391e70f425 1.0 5.0
133182 a94e65631881a27ddae3ef74caf53093 1.0 10.0
133185 925a7e2c9b9e40ad2dd44b7002ec882b 2.0 1.0
133187 426353b241acfbc64067acb1bdc80ade 2.0 2.0
133188 f2890bdac5103a3b78fac5f80e57b760 2.0 5.0
133186 a3e25a9fb8a99f010352ad3dd1afd596 2.0 10.0
133189 0ed75b55f61bec11c47d379e34959e54 5.0 1.0
133191 f927f5d85f2e9bd97dff31b4dab051ae 5.0 2.0
133192 c9c26e2b5f2d4bf5bcbbd4ba34fefd5e 5.0 5.0
133190 264c80af0e2a6cc1f70e87275e0f6ac4 5.0 10.0
"""
_GAS_LINE = """
164672 2fdd00138f1d7abc794fb953021a9f43 0.01 0.01
164668 45655bd77d006ab539c52b7fbcf099b9 0.1 0.1
135485 ad22fe08b8abc721179dbb34f2cc8b2a 1.e-8 1.e-8
"""
_GAS_OPEN = "133155 79857a11ad9a69d77b8cf249a1c72d06 1.e-8 1.e-8"
_GAS_STEPS = "133156 08dffc3d84033c7574a70614703dd753 1.e-8 1.e-8"
_GAS_128 = """
164687 5b21dcccaef4d2145ca579a71153c580 0.1 0.01 0.01
164688 b2733888745a1d64e36df813e979910b 0.1 0.1 0.1
164690 21969082d0e9524bcc4708e216148e60 1.0 0.01 0.01
164691 75a34f34a3dcd9bc8ae4b7adf8bf372c 1.0 0.1 0.1
"""
_GAS_512 = """
164689 ae2552864d0856f58dc74132a2f95d20 0.1 1e-08 1e-08
164692 04fcc44c39acea69e2869b84cd653d4a 1.0 1e-08 1e-08
"""
_GAS_TURBULENT = """
164685 844555000d342d2947162c6cf46798e7 0.1 1e-08 1e-08
164686 3f2c7376cde5fb072db0f9814f1c6992 1.0 1e-08 1e-08
"""
_GAS_RAND_3D = "164693 45892a12d1066d54af74badae55c438e 1.0 1e-08 1e-08"
_GAS_TURB_3D = "164694 4f0eacaec5ff000bbd9a31026ea207b8 1.0 1e-08 1e-08"

FILES: dict[str, Published] = {one.name: one for one in _files()}
"""By name. Test files of single runs, Darcy's steady flow and the other incompressible files are not among them."""


def chosen(problem: Problem, data: Data) -> list[Published]:
    """Return the published files of a data set: those named, or one for each set of the problem's parameters.

    Raises ``InputError``, with what there is, where nothing was published, or where several files fit.
    """
    names = data.source.files if isinstance(data.source, PublishedSource) else ()
    if names or problem.open_facts:
        return _named(problem, names)
    sets = problem.facts.sets(*data.given)  # of numbers: ranges of published files are refused
    return [_fitting(problem, [one for one in values if not isinstance(one, Span)]) for values in sets]


def _named(problem: Problem, names: Sequence[str]) -> list[Published]:
    fitting = [one for one in FILES.values() if problem.open_facts or one.vector(problem) is not None]
    known = {one.name: one for one in fitting}
    for name in names or ("empty",):
        if name not in known:
            there = ", ".join(known) or "left out, as none holds its channels"
            raise InputError(f"data.source.files = {name}: must be published for {problem.name}: {there}; choose those")
    return [known[name] for name in names]


def _fitting(problem: Problem, values: Sequence[float]) -> Published:
    mine = {one.name: found for one in FILES.values() if (found := one.vector(problem)) is not None}
    fits = [name for name, found in mine.items() if all(map(math.isclose, found, values))]
    if len(fits) == 1:
        return FILES[fits[0]]
    symbols = [one.name for one in problem.facts.parameters]
    told = ", ".join(f"{name} = {value:g}" for name, value in zip(symbols, values, strict=True)) or "its equation"
    if fits:
        raise InputError(f"{told}: must tell one published file, {len(fits)} fit; name it in data.source.files: {fits}")
    if mine:
        there = "; ".join(", ".join(f"{x:g}" for x in found) for found in sorted(set(mine.values())))
        raise InputError(
            f"{told}: not published for {problem.name}, must be one of ({', '.join(symbols)}) {there}; choose one, or "
            "solve it with data.source.kind=solve"
        )
    if others := [one.name for one in FILES.values() if one.family.problem == problem.name]:
        raise InputError(
            f"problem = {problem.name}: the published {others[0]} holds {', '.join(FILES[others[0]].family.channels)} "
            f"alone, must hold {', '.join(problem.facts.names)}; solve it, or read that file as it is: "
            f"problem=data_only,data.source.files=[{others[0]}]"
        )
    known = sorted({one.family.problem for one in FILES.values()} - {""})
    raise InputError(
        f"problem = {problem.name}: not published, must be one of {', '.join(known)}; solve it with "
        "data.source.kind=solve"
    )
