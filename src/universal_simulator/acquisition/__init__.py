"""Raw files: where they come from, how they are laid out, and whether they can be trusted.

One file holds trajectories of one equation, in one of the HDF5 layouts of PDEBench or The Well, whichever source made
it: ``solve`` (here), ``published`` (PDEBench's own), ``bucket`` (S3-compatible), ``local`` (the user's own). A file
appears under its name only when it is complete; until then it is called ``<name>.part``. Nothing here knows Kedro.
"""
