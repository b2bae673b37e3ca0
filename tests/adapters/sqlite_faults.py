"""A file system under SQLite that fails when told to: full, or unable to sync."""

from typing import Any

import apsw


class FaultyFiles(apsw.VFS):
    """Passes everything on to the real one; `full` and `unsyncable` make it fail."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self.name = name
        self.full = False
        self.unsyncable = False

    def xOpen(self, name: Any, flags: list[int]) -> "_FaultyFile":
        return _FaultyFile(self, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, files: FaultyFiles, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._files = files

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._files.full:
            raise apsw.FullError("no room, says the test")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._files.unsyncable:
            raise apsw.IOError("cannot sync, says the test")
        super().xSync(flags)
