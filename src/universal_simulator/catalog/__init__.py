"""How an artefact is stored: one dataset class for each kind that Kedro has none for."""
