"""Rows in one SQLite file, committed in groups, written by one process.

    own_directory(path)           this process is the one server of a data directory
    SqliteMetadata(path, fatal)   the writer: one per data directory
    serve_commits(metadata, …)    the writer's door for the other processes of the site
    SqliteRemote(path, socket)    the same port in those: reads the file, sends its commits

Read    file.py (what is stored) · commits.py (who waits for whom) · writer.py · server.py · remote.py
Source  DESIGN §4; SQLite "Write-Ahead Logging"; figures: research/host.md.
"""

from chalicelib.adapters.sqlite.directory import own_directory
from chalicelib.adapters.sqlite.remote import SqliteRemote
from chalicelib.adapters.sqlite.server import serve_commits
from chalicelib.adapters.sqlite.writer import SqliteMetadata

__all__ = ["SqliteMetadata", "SqliteRemote", "own_directory", "serve_commits"]
