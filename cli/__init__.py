"""HAND: the command line, one thin file a command group."""
