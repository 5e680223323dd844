"""The study that is made of a user's own data, and the choice at its end."""
