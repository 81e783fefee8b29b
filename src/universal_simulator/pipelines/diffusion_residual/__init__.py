"""Third stage: what the operator gets wrong, as a distribution."""
