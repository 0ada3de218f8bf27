"""Training of small models of our own, and fine-tuning of checkpoints, on the tasks' train split."""
