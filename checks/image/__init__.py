"""One file for each check on a single image."""
