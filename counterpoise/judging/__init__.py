"""From numbers to verdicts: results of a study, effects, statistics, claims."""
