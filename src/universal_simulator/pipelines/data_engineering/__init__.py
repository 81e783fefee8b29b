"""From a source to checked trajectories, split, with their statistics and their card."""
