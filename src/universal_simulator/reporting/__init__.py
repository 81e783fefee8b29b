"""What a finished experiment looks like: figures and one self-contained HTML page.

Conventions here: all figures are matplotlib's, drawn without global state, about 3.6 inches wide: one fills a
phone's width and three stand beside each other on a desk; snapshots of two dimensions are wider, two of them do. They
enter the page as SVG inside it, so the file needs nothing else, and are kept as PNG beside it; what moves is WebP in
both places. Colours are Okabe & Ito's, and no meaning hangs on a colour alone. Axes carry names and units: those of
the grid's axes, channels and parameters. How a field is drawn is a matter of its dimensions (``view_of``), everything
else is the same for all. Every page is made by one template of the same few blocks (``page``). A missing piece (no
ensemble, no test-time conditioning) leaves its place empty with a sentence that says so.
"""
