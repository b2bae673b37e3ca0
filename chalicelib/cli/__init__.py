"""The `causeway` command: one file per noun. It speaks to sites over their admin API only.

Read    main.py (the table of commands) → command.py (what every command has) → user.py, status.py, …
Source  DESIGN §4; verbs of riak-repl (research/riakcs.md §1.7).
"""
