"""Small transformers of our own: the networks that `pb train` makes and `--model tiny` loads."""
