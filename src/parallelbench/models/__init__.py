"""The Denoiser protocol and every denoiser; `registry` holds the table that `--model` accepts."""
