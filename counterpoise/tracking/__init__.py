"""The MLflow view of what jobs have written."""
