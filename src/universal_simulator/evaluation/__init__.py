"""How good a forecast is: errors, calibration, a scoreboard over batches, intervals, and gates.

Conventions here: every number is taken on decoded physical fields, never on latents. A ``Truth`` holds fields
``(sample, time, channel, *space)`` with all that says what they mean; a ``prediction`` is ``(sample, member, time,
channel, *space)``, with one member for a deterministic forecast. ``rms_x`` is the root mean square over space. Channels
are scored apart and pooled last. No relative score depends on units: what is divided by is never less than
``RESOLUTION`` times the trajectory's own size. Sums are taken in float64.
"""
