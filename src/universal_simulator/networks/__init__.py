"""What is learned: modules from tensors to tensors. A network knows no equation.

Conventions of this room. A latent state is ``z: (sample, token, dim)``. Its ``token × dim`` numbers are, in order, the
samples of a field on a periodic grid, ``dim`` neighbours to a token: so a shift of the field by a multiple of
``1/(token · dim)`` is a roll of the latent, and the reflection ``v(x) → -v(-x)`` is a flip with a change of sign.
Networks work on ``point``s, the samples of its long waves (``low_pass.py``).
Conditions are scalars per sample, standardised by the caller: ``(sample, condition)``.
"""
