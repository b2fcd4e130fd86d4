"""Running the system: commands, probes, figures, checks, backups."""

VERSION = "0.1.0"
"""As in pyproject.toml, which the release reads."""
