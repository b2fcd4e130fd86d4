"""Where the last release left the database: whoever upgrades comes from there. Raised with each release."""

RELEASED = "0013"
