"""Fields to latents, once."""
