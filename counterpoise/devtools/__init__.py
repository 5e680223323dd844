"""What `make check`, `make docs` and `make envs` run."""
