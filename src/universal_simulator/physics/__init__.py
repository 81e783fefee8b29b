"""What the equations say: right-hand sides, closed forms, the solver, and what a solution must conserve.

Conventions here: samples sit at cell centres ``x_i = (i + ½)/n`` of each axis; a field is a real tensor whose
last axes are space. On the periodic unit interval ``k`` is an angular wave number, ``2π · (0, 1, …, n/2)``, and a
spectrum is ``torch.fft.rfft(field)``, unnormalised; waves between walls are those of ``waves.py``. No module here knows
a network.
"""
