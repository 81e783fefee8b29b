"""What is wrong with a set of trajectories, before anything is trained on it: findings, each with its remedy.

Nothing here knows Kedro. Trajectories are read by slices, so that no file need fit into memory. docs/audit.md lists all
findings with their rules.
"""
