"""What every section of the tree has in common: kinds of numbers, and what no section takes."""

import re
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from universal_simulator.support.errors import CREDENTIALS

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NonNegative = Annotated[float, Field(ge=0, le=1e9)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Size = Annotated[int, Field(ge=1, le=10**4)]
"""Of networks and searches: bounded, so that a slip of the finger does not fill the memory."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
PUBLISHED = 10_000
"""Trajectories in the largest published files; how many the one in question has, ``acquisition.archive`` knows."""


def text(pattern: str, rule: str) -> AfterValidator:
    """Demand a text that the whole pattern fits, and say the rule in words where it does not."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise PydanticCustomError("text", "must {rule}", {"rule": rule})
        return value

    return AfterValidator(check)


Name = Annotated[
    str, text(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "be up to 64 letters, digits and _.- that begin with no sign")
]
NON_SEMANTIC = ("save_every_s", "resume", "force", "processes", "nodes", "rendezvous", "hourly_rate_usd", "estimate")
"""Parameters that no result depends on: changing one makes nothing stale."""

UNSAID: dict[str, Any] = {"split": "content", "files": [], "initial": None, "initial_rate": 0.3, "members": []}
"""Values of parameters that came later, which say what was done before there were any: they make nothing stale."""


def semantic_only(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter tree without what no result depends on."""
    kept = {
        name: value
        for name, value in tree.items()
        if name not in NON_SEMANTIC and (name not in UNSAID or value != UNSAID[name])
    }
    return {name: semantic_only(value) if isinstance(value, dict) else value for name, value in kept.items()}


class Section(BaseModel):
    """One node of the parameter tree."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, values: Any) -> Any:
        """Refuse ``true`` where a number is meant: pydantic would read it as 1."""
        for name, value in values.items() if isinstance(values, dict) else ():
            kind = cls.model_fields[name].annotation if name in cls.model_fields else bool
            if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
                raise ValueError(f"{name} = {value} must not be true or false; give its value")
        return values

    @model_validator(mode="before")
    @classmethod
    def _no_credentials(cls, values: Any) -> Any:
        """Refuse a password in an address: parameters are recorded and printed."""
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, str) and re.search(CREDENTIALS, value):
                shown = re.sub(CREDENTIALS, "//***@", value)
                raise ValueError(
                    f"{name} = {shown} must hold no credentials; give them in the environment or conf/local"
                )
        return values
