"""What every room may use: errors of the user, whole files, polite stops, progress, fingerprints of code."""
