"""What a person reads: terminal tables made from results; nothing here computes a result."""
