"""Running one job: in this process or in a fork, and what is known of those that ran."""
