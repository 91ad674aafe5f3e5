"""Small files that appear whole or not at all, on any file system Spark knows."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from segments.errors import Refused

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Where a file appears whole when its writer closes it, and a rename is a copy.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "oss", "cosn", "wasb", "wasbs"})


class WholeFiles:
    """Reads and replaces small text files through Hadoop's file systems, as Spark is configured for them."""

    def __init__(self, spark: SparkSession) -> None:
        # py4j makes its classes at run time: there are no types to check against.
        self._context: Any = spark.sparkContext

    def put(self, name: str, text: str) -> None:
        """Replaces the file in one go: a reader sees the old text or the new one.

        Raises:
            Refused: the file system would not rename.
        """
        path = self._path(name)
        system = self._system(path)
        scheme = system.getUri().getScheme()
        beside = path if scheme in OBJECT_STORES else self._path(f"{name}.{uuid.uuid4().hex[:8]}")
        stream = system.create(beside, True)
        try:
            stream.write(bytearray(text.encode()))
        finally:
            stream.close()
        if scheme == "file":
            # POSIX rename: replaces in one go.
            if not system.rename(beside, path):
                raise Refused("cannot put the file in its place", where=name)
        elif beside is not path:
            self._replace(system, beside, path)

    def get(self, name: str) -> str | None:
        """The file's text, None if there is none."""
        path = self._path(name)
        system = self._system(path)
        if not system.exists(path):
            return None
        stream = system.open(path)
        try:
            return str(self._context._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def names(self, folder: str) -> list[str]:
        """What lies in a folder; nothing if there is no such folder."""
        path = self._path(folder)
        system = self._system(path)
        return [str(status.getPath().getName()) for status in system.listStatus(path)] if system.exists(path) else []

    def remove(self, name: str) -> None:
        """Removes a file or folder, if it is there."""
        path = self._path(name)
        self._system(path).delete(path, True)

    def size(self, name: str) -> int:
        """Bytes of a file, or of all files in a folder; 0 if it is not there."""
        path = self._path(name)
        system = self._system(path)
        return int(system.getContentSummary(path).getLength()) if system.exists(path) else 0

    def _path(self, name: str) -> Any:
        return self._context._jvm.org.apache.hadoop.fs.Path(name)

    def _system(self, path: Any) -> Any:
        system = path.getFileSystem(self._context._jsc.hadoopConfiguration())
        # Without Hadoop's checksum files on local disks: a file and its checksum would need two renames.
        return system.getRawFileSystem() if system.getUri().getScheme() == "file" else system

    def _replace(self, system: Any, source: Any, target: Any) -> None:
        rename = self._context._jvm.org.apache.hadoop.fs.Options.Rename
        options = self._context._gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        context = self._context._jvm.org.apache.hadoop.fs.FileContext.getFileContext(system.getUri())
        context.rename(context.makeQualified(source), context.makeQualified(target), options)
