"""A rented machine that ends: one command under limits, artefacts in a bucket, a final status recorded, then down.

Everything that may hang or fail (bucket, tracking server) is a process of its own with a time limit, so nothing can
keep the machine from being told to go down.
"""
