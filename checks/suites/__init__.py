"""Contracts: a user's row rules (pandera), the dataset gate and its record (Great Expectations)."""
