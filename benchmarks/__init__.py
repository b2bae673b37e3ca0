"""Side-by-side measurements against real peers on one machine; each prints a table of ratios.

Run     make bench · python -m benchmarks --rows put-4k,get-4k --seconds 3
Read    __main__.py (the command) → rows.py (what is measured) → load.py, client.py (who asks)
Source  DESIGN §7.
"""
