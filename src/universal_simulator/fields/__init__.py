"""What a state is: the periodic grid, spectral resampling and shifting, windows of trajectories, roll-out.

Axes stand in one order everywhere: sample, time, (channel,) space. The domain is the unit interval, periodic, sampled
at cell centres ``(i + ½)/n``. A distance is in domain lengths, a time in the equation's time units.
"""
