"""What a field is: axes, grids and channels; symmetries, spectra and boundaries; trajectories and their windows.

Axes of arrays stand in one order everywhere: sample, time, channel, space. Values are those at cell centres. What
lengths and times mean is the problem's to say.
"""
