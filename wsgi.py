"""The entry point for web servers and commands: `flask --app wsgi …`."""

import sys

import config
from insurance import create_app
from insurance.core import outbound

# The check of a configuration says all that is wrong with it; everything else refuses to run on what is.
app = create_app(config.read(refuse="check" not in sys.argv))
if app.config["APP_ENV"] == "production":
    outbound.enforce(app.config)
