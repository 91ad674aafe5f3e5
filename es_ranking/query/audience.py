"""Who is asking, and which rank field serves him: user → segments → variant → field of the serving generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from es_ranking.engine.contract import Engine
from es_ranking.engine.errors import IndexMissing
from es_ranking.experiments.document import Bucket
from es_ranking.publish.generation import users_alias, why_alias
from es_ranking.publish.meta import META, GenerationMeta
from es_ranking.schema import rank_field
from segments.catalogue import Catalogue
from segments.errors import ContractBroken, RankingError, Refused, UsageError
from segments.teams import VERSUS, teams_of

VARIANT_MISSING = "variant_missing"


@dataclass(frozen=True)
class Serving:
    """The generation behind an alias, as its index describes itself."""

    index: str
    meta: GenerationMeta
    catalogue: Catalogue

    @property
    def users_index(self) -> str:
        """One document a user, `{"segments": {family: segment}}`."""
        return side_index(users_alias(self.meta.alias), self.meta.alias, self.meta.generation)


@dataclass(frozen=True)
class Served:
    """What one request is sorted by.

    Args:
        alias: the name queries use.
        index: the concrete index.
        generation: id of the generation.
        segment, variant: whose ranks.
        space: names the generation's set of item vectors, empty where it has none.
        flags: what went otherwise than asked for, such as `users_unavailable`.
        forced: the variant was chosen by hand: statistics of an experiment leave this request out.
        bucket: of the experiment that chose the variant; None: no experiment did.
        versus: whose list is interleaved with this one; None: this one stands alone.
    """

    alias: str
    index: str
    generation: str
    segment: str
    variant: str
    space: str = ""
    flags: tuple[str, ...] = ()
    forced: bool = False
    bucket: Bucket | None = None
    versus: Served | None = None

    @property
    def named(self) -> str:
        """The variant as exposures and answers name it: `A`, or `A+B2` where two are interleaved."""
        return self.variant if self.versus is None else f"{self.variant}{VERSUS}{self.versus.variant}"

    @property
    def field(self) -> str:
        """The rank field."""
        return rank_field(self.variant, self.segment)

    @property
    def why_index(self) -> str:
        """Where the night's reasons for this generation are kept."""
        return side_index(why_alias(self.alias), self.alias, self.generation)


class Audience:
    """Resolves users; remembers the catalogue of each alias until its generation changes (see `forget`)."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._serving: dict[str, Serving] = {}

    def serving(self, index: str) -> Serving:
        """The generation behind an alias (or the index itself), as last seen.

        Raises:
            IndexMissing: no such alias or index.
            UsageError: several indices stand behind the alias.
            Refused: nothing was ever published there.
        """
        held = self._serving.get(index)
        if held is None:
            behind = self.engine.get_alias(index) or [index]
            if len(behind) > 1:
                raise UsageError(f"{len(behind)} indices stand behind the alias", where=index, hint=", ".join(behind))
            held = self._serving[index] = _described(behind[0], self.engine)
        return held

    def knows(self, index: str) -> bool:
        """Whether the alias was looked at, so that what is known of it may be out of date."""
        return index in self._serving

    def forget(self, index: str) -> None:
        """The alias points elsewhere now: read it again next time."""
        self._serving.pop(index, None)

    def resolve(
        self,
        index: str,
        *,
        user: str | None = None,
        segment: str | None = None,
        variant: str | None = None,
        otherwise: str | None = None,
        bucket: Bucket | None = None,
    ) -> Served:
        """Whose ranks serve this request. An explicit segment or variant wins; nobody in particular gets `all`.

        Args:
            index: as queries name it.
            user: resolved to his segments.
            segment: instead of the user's own.
            variant: instead of the experiment's; two with a `+` between them are interleaved.
            otherwise: the variant where no experiment decides; None: the generation's default.
            bucket: what an experiment decides. A variant of it that the serving generation does not rank for is given
                up (flag `variant_missing`), not the search.

        Raises:
            UsageError: a variant or segment that the serving generation does not rank for.
        """
        try:
            return self._resolve(index, user, segment, variant, otherwise, bucket)
        except UsageError:
            # the name may be of a generation published since we last looked
            stale = self._serving.get(index)
            self.forget(index)
            if stale is None or self.serving(index).index == stale.index:
                raise
            return self._resolve(index, user, segment, variant, otherwise, bucket)

    def _resolve(
        self, index: str, user: str | None, segment: str | None, variant: str | None, otherwise: str | None,
        bucket: Bucket | None,
    ) -> Served:  # fmt: skip
        serving = self.serving(index)
        catalogue = serving.catalogue
        flags: tuple[str, ...] = ()
        wanted = None if bucket is None else bucket.variant
        if variant is not None:
            bucket = None
        elif wanted is not None and not set(teams_of(wanted)) <= set(catalogue.variants):
            bucket, flags = None, (VARIANT_MISSING,)
        forced = variant is not None or (bucket is not None and bucket.forced)
        name = variant or (bucket and bucket.variant) or otherwise or serving.meta.default_variant
        found, lacking = self._segments_of(serving, user) if user is not None and segment is None else ({}, ())
        flags += lacking
        served: Served | None = None
        meta = serving.meta
        for team in reversed(teams_of(name)):
            known = [one.id for one in catalogue.segments_of(team)]
            if segment is None:
                # segments of another night than the generation's are of no use here
                own = catalogue.resolve({family: one for family, one in found.items() if one in known}, team)
            elif segment in known:
                own = segment
            else:
                raise UsageError.unknown(f"segment of variant {team}", segment, known, where=index)
            served = Served(
                meta.alias, serving.index, meta.generation, own, team, meta.space, flags, forced, bucket, served
            )
        assert served is not None
        return served

    def _segments_of(self, serving: Serving, user: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
        try:
            document = self.engine.get(serving.users_index, user)
        except IndexMissing:
            return {}, ("users_unavailable",)
        segments = (document or {}).get("segments", {})
        return (segments, ()) if isinstance(segments, Mapping) else ({}, ())


def side_index(side_alias: str, alias: str, generation: str) -> str:
    """The concrete side index of a generation (its id is the alias, the run and the number).

    >>> side_index("products-why", "products", "products-20171127t000000-1")
    'products-why-20171127t000000-1'
    """
    return side_alias + generation.removeprefix(alias)


def _described(index: str, engine: Engine) -> Serving:
    meta = engine.get_mapping(index).get("_meta") or {}
    if META not in meta:
        raise Refused("nothing is published under this name", where=index, hint="es-ranking nightly run publishes")
    described = GenerationMeta.of(meta, where=index)
    try:
        return Serving(index, described, Catalogue.of(described.catalogue, where=index))
    except RankingError as error:
        raise ContractBroken(f"the mapping's catalogue is broken: {error.what}", where=index) from error
