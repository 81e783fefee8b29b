"""Second stage: one time step in latent space."""
