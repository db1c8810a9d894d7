"""The commands: one file each, whose `main` takes the parsed options and returns the exit code."""
