"""A user's file: delimited text or Parquet, to columns of known kinds."""
