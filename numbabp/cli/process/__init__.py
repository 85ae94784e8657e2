"""What a command has to do with its system: streams, files, and what ends it from outside."""
