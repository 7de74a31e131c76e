"""Settings: their rules, files and changes, and the command line."""
