"""Web and worker together, until Ctrl-C or until one of them ends: what `make run` starts last."""

import os
import signal
import subprocess
import sys
import time

STOP_SECONDS = 10


def main() -> int:
    """Start both, wait, and stop both; 1 if one of them ended by itself."""
    address = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
    commands = [
        [sys.executable, "-m", "gunicorn", f"--bind={address}"],
        [sys.executable, "-m", "flask", "--app", "wsgi", "jobs", "worker"],
    ]
    stop: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, lambda number, _frame: stop.append(number))
    # Sessions of their own: Ctrl-C reaches this process alone, which then stops the others in order.
    children = [subprocess.Popen(command, start_new_session=True) for command in commands]  # noqa: S603
    print(f"Open http://{address} – Ctrl-C stops everything.", flush=True)
    while not stop and all(child.poll() is None for child in children):
        time.sleep(0.2)
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
    return 0 if stop else 1


if __name__ == "__main__":
    sys.exit(main())
