"""What every package may use: errors of the user, whole files, polite stops, progress, fingerprints of code."""
