"""Where samples come from: image folders, image tables, CSV and Parquet tables."""
