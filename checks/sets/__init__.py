"""One file for each check that looks at many samples at once."""
