"""Fifth stage: how far apart an ensemble's members must go, fitted on validation trajectories."""
