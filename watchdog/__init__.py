"""The agent that keeps one trading bot alive on its host. Standard library and psutil only."""

__version__ = "0.1.0"
