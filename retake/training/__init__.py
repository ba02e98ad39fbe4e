"""Training, features and predictions of every method: one loop, driven by data."""
