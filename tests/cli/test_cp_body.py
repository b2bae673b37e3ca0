"""What `causeway cp` reads from a pipe, and how it lets go of it."""

import _thread
import os
import threading

import pytest

from chalicelib.cli.cp_body import READ_BYTES, Pipe, read_up_to


def test_pieces_of_a_pipe_become_whole() -> None:
    """As many bytes as were asked for, whatever writes they came in; fewer only at the end."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", buffering=0) as file:
            for _ in range(3):
                file.write(b"x" * READ_BYTES)

    threading.Thread(target=write).start()
    with open(reading, "rb") as file:
        pipe = Pipe(file)
        sizes = [len(read_up_to(pipe, 2 * READ_BYTES)) for _ in range(3)]
    assert sizes == [2 * READ_BYTES, READ_BYTES, 0]


def test_ctrl_c_before_a_read_begins() -> None:
    """`interrupt_main` is a Ctrl-C that interrupts no system call: one that came a moment too early."""
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb"):
        threading.Timer(0.3, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            Pipe(file).read(1)
