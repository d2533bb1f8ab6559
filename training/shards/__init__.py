"""Shards: the cleaned data as Parquet files that others read too, and the books beside them."""
