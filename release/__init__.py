"""Builds the one archive that carries the agent to a host: reproducible, and named after its content."""
