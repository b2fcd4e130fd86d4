"""How the web server runs, wherever it is started: `gunicorn wsgi:app`."""

wsgi_app = "wsgi:app"
threads = 64  # one each for the 60 slow connections that a site must stand; measured in docs/decisions/0016-faults.md
limit_request_line = 8190  # lists of the API take many filters
control_socket_disable = True
loglevel = "warning"
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "insurance.web.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["stderr"], "propagate": False}},
}
