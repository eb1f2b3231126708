"""What a person can ask of noonsong on the command line, one file a command."""
