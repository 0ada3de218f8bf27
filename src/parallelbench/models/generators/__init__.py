"""Autoregressive and closed models behind one protocol: text in, text out."""
