"""One file for each check on the cells of a table."""
