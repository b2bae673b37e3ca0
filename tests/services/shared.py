"""One MinIO, one DynamoDB Local and one moto for a whole test run, however many pytest workers it has.

The process that starts the workers owns the services: a thread of it listens on a Unix socket,
starts a service when it is first asked for and stops all of them at the end of the run. Workers
find the socket in the environment they inherit.
"""

import os
import tempfile
import threading
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener
from pathlib import Path

from tests.services.install import Missing
from tests.services.run import Service, ServiceFailed, dynamodb_local, minio_server, moto_server

ADDRESS_VARIABLE = "CAUSEWAY_TEST_SERVICES"
STARTERS = {"minio": minio_server, "dynamodb": dynamodb_local, "moto": moto_server}
STOP = "stop"


class SharedServices:
    """Owned by the controlling pytest process: `start` before the workers, `stop` after them."""

    def start(self) -> None:
        """Listens; no service runs before a test asks for it."""
        self._directory = tempfile.TemporaryDirectory(prefix="causeway-tests-")
        self._address = str(Path(self._directory.name, "services"))
        self._listener = Listener(self._address, "AF_UNIX", backlog=64)
        os.environ[ADDRESS_VARIABLE] = self._address
        # The services die with the thread that started them, so one thread starts them all.
        self._thread = threading.Thread(target=self._serve, name="test services", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops every service that was started."""
        _ask(self._address, STOP)
        self._thread.join()
        os.environ.pop(ADDRESS_VARIABLE, None)
        self._directory.cleanup()

    def _serve(self) -> None:
        running: dict[str, Service | Missing | ServiceFailed] = {}
        with ExitStack() as started, self._listener:
            while True:
                with self._listener.accept() as connection:
                    wanted = connection.recv()
                    if wanted == STOP:
                        connection.send(None)
                        return
                    if wanted not in running:
                        running[wanted] = _start(wanted, started)
                    connection.send(running[wanted])


def shared_service(name: str) -> Service:
    """The run's one service of that name, started at its first use; Missing or ServiceFailed."""
    answer = _ask(os.environ[ADDRESS_VARIABLE], name)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _start(name: str, started: ExitStack) -> Service | Missing | ServiceFailed:
    try:
        return started.enter_context(STARTERS[name]())
    except (Missing, ServiceFailed) as error:
        return error


def _ask(address: str, question: str):
    with Client(address, "AF_UNIX") as connection:
        connection.send(question)
        return connection.recv()
