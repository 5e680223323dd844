"""A fitted model as a folder, and its predictions of new rows."""
