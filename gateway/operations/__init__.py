"""Use cases that the command line, the API and the console share."""
