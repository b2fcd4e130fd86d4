"""How the web server runs, wherever it is started: `gunicorn wsgi:app`."""

from pathlib import Path

from config import read  # not the module: gunicorn takes every name here for a setting of its own
from insurance.web import logs

settings = read()

wsgi_app = "wsgi:app"
workers = settings["WEB_CONCURRENCY"]
threads = 64  # one each for the 60 slow connections that a site must stand; measured in docs/decisions/0016-faults.md
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (no slow disk makes a worker seem dead)
keepalive = 130  # longer than the proxy keeps idle connections (120 s): so it never sends on one that closes just then
limit_request_line = 8190  # lists of the API take many filters
control_socket_disable = True
loglevel = "warning"
logconfig_dict = logs.configuration(settings)
