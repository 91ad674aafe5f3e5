"""`es-ranking jobs`: what a cluster needs to run the steps."""

from __future__ import annotations

import zipfile
from pathlib import Path

import click

from cli.output import emit, output_option

FLOORS = ("segments", "es_ranking", "spark_jobs")


@click.group(name="jobs")
def group() -> None:
    """Package the batch steps for spark-submit."""


@group.command(name="package")
@click.option("--to", "target", default="dist/es_ranking.zip", show_default=True, help="The zip to write.")
@output_option
def package(target: str, output: str) -> None:
    """Build the zip that `spark-submit --py-files` takes (it takes no wheels).

    Libraries (torch, scikit-learn) belong in the cluster's image or in `--archives`.

    \b
    Example:
      es-ranking jobs package
      spark-submit --py-files dist/es_ranking.zip spark_jobs/score.py \\
        --recipe complete-journey --run-date 2017-11-27 --warehouse hdfs:///warehouse
    """
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[1]
    files = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for floor in FLOORS:
            for file in sorted((root / floor).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    # A fixed date makes the same tree the same zip.
                    entry = zipfile.ZipInfo(str(file.relative_to(root)), date_time=(2020, 1, 1, 0, 0, 0))
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, file.read_bytes())
                    files += 1
    emit({"zip": str(path), "files": files, "bytes": path.stat().st_size}, output)
