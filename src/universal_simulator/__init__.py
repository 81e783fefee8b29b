"""Neural surrogates of partial differential equations, trained in stages and scored on decoded fields."""

__version__ = "0.1.0"
