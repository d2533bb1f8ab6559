"""Measured numbers: one decode for an image, one scan for a table, hashes compared exactly."""
