"""Open diffusion language models, loaded into classes of transformers (or our own) without remote code."""
