"""The entry point for web servers and commands: `flask --app wsgi …`."""

import sys

import config
from insurance import create_app

# The check of a configuration says all that is wrong with it; everything else refuses to run on what is.
app = create_app(config.read(refuse="check" not in sys.argv))
