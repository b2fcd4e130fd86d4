"""Every movement of value, as transfers that are written once."""
