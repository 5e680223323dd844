"""`published/`: results with their evidence, the synthesis, and the way to and from DVC."""
