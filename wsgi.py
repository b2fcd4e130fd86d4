"""The entry point for web servers and commands: `flask --app wsgi …`."""

import config
from insurance import create_app

app = create_app(config.read())
