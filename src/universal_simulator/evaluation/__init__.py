"""How good a forecast is: errors, calibration, a scoreboard over batches, intervals, and gates.

Conventions of this room. Every number is taken on decoded physical fields, never on latents. ``truth`` has the axes
sample, time, space; a ``prediction`` has sample, member, time, space, with one member for a deterministic forecast.
``initial`` is the last snapshot that was given to the forecast. ``rms_x`` is the root mean square over space. A field
whose ``rms_x`` is below ``RESOLUTION`` counts as having that much: single precision cannot resolve less in fields of
order one, and a relative error of a vanishing field would be noise divided by noise. Sums are taken in float64.
"""
