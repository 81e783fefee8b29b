"""Better parameters around an experiment's."""
