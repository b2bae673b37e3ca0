"""One technology per module, each a port's promises kept on a real store. Read the port first."""
