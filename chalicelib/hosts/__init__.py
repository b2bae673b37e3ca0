"""Where requests come from: `server` streams on a laptop or in a container, `lambda_*` runs on AWS.

Read    server.py (the main process) → worker.py (one HTTP process) → listener.py → connection.py → http1.py
Source  docs/adr/0001-host.md: why the streaming host is our own.
"""
