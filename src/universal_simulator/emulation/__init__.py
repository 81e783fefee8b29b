"""The trained parts acting together: encode, step, correct, decode; one trajectory, an ensemble, or a guided search.

A forecast is a field ``(sample, member, time, space)`` in the equation's units, whatever happens in latent space.
"""
