"""What a finished experiment looks like: figures and one self-contained HTML page.

Conventions of this room. All figures are matplotlib's, drawn without global state, about 3.6 inches wide: one fills a
phone's width and three stand beside each other on a desk. They enter the page as SVG inside it, so the file needs
nothing else, and are kept as PNG beside it. Colours are Okabe & Ito's, and no meaning hangs on a colour alone. Axes
carry units: x in domain lengths, t in time units, u in the equation's velocity units. A missing piece (no ensemble, no
test-time conditioning) leaves its place empty with a sentence that says so.
"""
