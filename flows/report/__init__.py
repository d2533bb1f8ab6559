"""The report: plain data first, then JSON, HTML and markdown."""
