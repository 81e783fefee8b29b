"""Noise, denoise, sample: the generative half, in three nouns that know no network and no equation.

A *schedule* gives noise levels σ; a *denoiser* is any callable ``(noisy, σ) -> clean``, σ one per sample; a *sampler*
takes a denoiser and levels. Data are of order one (σ_data = 1). Formulation and notation follow Karras et al. 2022
("EDM", arXiv 2206.00364) and, for the student, Song et al. 2023 ("Consistency Models", arXiv 2303.01469).
"""
