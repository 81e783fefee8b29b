"""First stage: between fields and latents."""
