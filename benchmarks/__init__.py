"""How fast the service answers, measured beside what else there is, on this machine and in this run."""
