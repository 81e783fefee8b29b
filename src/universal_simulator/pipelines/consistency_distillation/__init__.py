"""Fourth stage: the residual's sampler, made cheap."""
