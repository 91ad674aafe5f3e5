"""Brand segments: fitted clusters get ids that fit a field name and stay what they are."""

from __future__ import annotations

from segments.families.brand import BrandSettings, brand_id, cut_by_brand


def test_clusters_get_their_numbers_as_ids() -> None:
    cut = cut_by_brand({"a": 7, "b": 7, "c": 12}, {7: "Acme, Blue"}, BrandSettings(), family="brand")
    assert cut.segment_of == {"a": "b_07", "b": "b_07", "c": "b_12"}
    assert [(s.id, s.users, s.label, s.values, s.parent) for s in cut.segments] == [
        ("b_07", 2, "Acme, Blue", {"brand": "b_07"}, "all"),
        ("b_12", 1, "b_12", {"brand": "b_12"}, "all"),
    ]


def test_the_prefix_is_the_familys() -> None:
    cut = cut_by_brand({"a": 0}, {}, BrandSettings(prefix="m"), family="maker")
    assert cut.segment_of == {"a": "m_00"}
    assert cut.segments[0].values == {"maker": "m_00"}
    assert brand_id(123) == "b_123"


def test_nobody_has_a_cluster() -> None:
    assert cut_by_brand({}, {}, BrandSettings()).segments == ()
