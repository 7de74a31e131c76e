"""From predictions to numbers, and to files."""
