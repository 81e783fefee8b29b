"""How networks learn: objectives, the one loop that serves every stage, weight average, seeding.

A stage is its objective, ``objective(network, batch, progress, generator) -> scalar``, and the batches it draws.
``progress`` runs from 0 to 1 over the planned training. Every random number comes from the generator that is passed in.
"""
