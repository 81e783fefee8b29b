"""The stages as Kedro pipelines: tables of plain functions, their inputs and their outputs."""
