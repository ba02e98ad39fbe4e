"""Scores: arrays, texts or tables in, numbers out. No torch."""
