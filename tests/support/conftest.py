"""A folder for artefacts that is not the project's, and the loader as Kedro builds it."""

from shell_fixtures import data, load, loader

__all__ = ["data", "load", "loader"]
