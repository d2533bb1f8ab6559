"""The command line, the configuration, the run folder and the stations that every flow shares."""
