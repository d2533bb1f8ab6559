"""One file for each check on labels, and the algebra under it."""
