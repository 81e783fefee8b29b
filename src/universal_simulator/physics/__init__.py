"""What the equations say: right-hand sides, closed forms, the solver, and what a solution must conserve.

Conventions of this room. The domain is the unit interval, periodic; samples sit at cell centres
``x_i = (i + ½)/n``; a field is a real tensor whose last axis is space. ``k`` is always an angular wave number,
``2π · (0, 1, …, n/2)``; a spectrum is ``torch.fft.rfft(field)``, unnormalised. Nothing here knows a network.
"""
