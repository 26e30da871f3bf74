"""The health check of a process without a port: `python -m app.alive "careline work"`.

A worker and a router use the database every second. This asks the database whether a connection of that name from
this very host did so lately; a process that hangs, or has lost its database, is found out.
"""

import sys

import psycopg

from app.db import libpq_url
from app.settings import get_settings

QUIET = 30  # seconds
QUERY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %s AND client_addr IS NOT DISTINCT FROM inet_client_addr() AND pid <> pg_backend_pid()
  AND state_change > now() - make_interval(secs => %s)
"""


def is_alive(url: str, name: str) -> bool:
    """Whether a process of that name on this host spoke to the database within the last 30 s."""
    try:
        with psycopg.connect(libpq_url(url), connect_timeout=5, application_name="careline alive") as connection:
            row = connection.execute(QUERY, [name, QUIET]).fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and row[0] > 0


if __name__ == "__main__":
    sys.exit(0 if is_alive(get_settings().database_url, sys.argv[1]) else 1)
