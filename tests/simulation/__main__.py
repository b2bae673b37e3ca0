"""`python -m tests.simulation [first] [last]`: run seeds, print what failed and what was tried."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation import table
from tests.simulation.run import run_seed


def main(first: int, last: int) -> int:
    """Run the seeds on two cores; the number that failed."""
    began = time.perf_counter()
    tallies, operations, faults, failed = [], 0, 0, 0
    with ProcessPoolExecutor(2) as pool:
        for result in pool.map(run_seed, range(first, last), chunksize=5):
            tallies.append(result.tally)
            operations += result.operations
            faults += result.faults
            if result.violation:
                failed += 1
                print(result.told(0))
    print(table.text(table.added(tallies)))
    took = time.perf_counter() - began
    print(f"{last - first} seeds, {operations} operations, {faults} faults, {took:.0f} s, {failed} failed")
    return failed


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(int(words[0]) if words else 0, int(words[1]) if len(words) > 1 else 500) > 0)
