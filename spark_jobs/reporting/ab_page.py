"""The dashboard of an A/B test: one HTML file, readable on a phone: effects, trend, split, funnel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spark_jobs.reporting.page import Section, Table, write_page
from spark_jobs.reporting.pictures import INK, MARK, SECOND, SOFT, blank, lifts, svg

COLOURS = (SOFT, MARK, SECOND, "#0f9d58", "#b8860b", "#7b5ea7")
STEPS = ("shown", "clicks", "orders")
PHONE = 4.6
"""Inches: letters of a picture stay readable on a narrow screen."""
MOST_SEGMENTS = 12
NARROW = "\u202f"
"""A space that no line is broken at."""


def write_ab_page(path: Path, told: Mapping[str, Any]) -> Path:
    """Writes the dashboard of a report (`spark_jobs.ab_report`)."""
    control = told["control"]
    names = list(told["variants"])
    sections = [
        Section("Effects", _effects_in_words(told), [Table(_rows(told["metrics"]))], [_effects(told, name)
                for name in names if name != control]),
        Section("Trend", f"Against {control}, all days so far: the band holds at every look.",
                pictures=[_trend(told, name) for name in names if name != control] + [_daily(told)]),
        Section("Split", _split_in_words(told), [Table([
            {"epoch": one["epoch"], **{f"{name}: {what}": one[what][name] for name in names
             for what in ("shares", "units")}} for one in told["epochs"]
        ])]),
        Section("Funnel", "Of each view: places shown, clicks, orders.", [Table([
            {"variant": name, **told["variants"][name]} for name in names])], [_funnel(told)]),
        Section("Segments", "Those with the most views; of many that are looked at, some differ by chance.", [Table([
            {"segment": segment or "(none)", **row}
            for segment, metrics in list(told["by_segment"].items())[:MOST_SEGMENTS] for row in _rows(metrics)
        ])]),
    ]  # fmt: skip
    lead = f"{told['from']} to {told['to']}, {told['users']:,} users, by "
    warned = [Section("Warnings", "; ".join(told["warnings"]) + ".")] if told["warnings"] else []
    return write_page(path, title=f"A/B test {told['experiment']}", lead=lead + told["unit"],
                      sections=[*warned, *sections])  # fmt: skip


def _rows(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "metric": metric.replace("_", " "),
            "variant": name,
            "change": _change(found["relative"]),
            "control": found["control"],
            "value": found["value"],
            "p (Holm)": found["p_holm"],
            "at any look": found["always_valid_p_holm"],
        }
        for metric, variants in metrics.items()
        for name, found in variants.items()
        if found["control"] or found["value"]
    ]


def _change(relative: Mapping[str, float] | None) -> str | None:
    return (
        None
        if relative is None
        else (f"{relative['value']:+.1%} ({relative['low']:+.1%} … {relative['high']:+.1%})".replace(" ", NARROW))
    )


def _effects(told: Mapping[str, Any], name: str) -> str:
    rows = [
        (metric.replace("_", " "), *(100 * found[name]["relative"][part] for part in ("value", "low", "high")))
        for metric, found in told["metrics"].items()
        if name in found and found[name]["relative"]
    ]
    return lifts(
        rows,
        title=f"{name} against {told['control']}",
        unit="% of the control, 95 % intervals of one look",
        width=PHONE,
    )


def _trend(told: Mapping[str, Any], name: str) -> str:
    sheet, axis = blank(f"clicks per user: {name} − {told['control']}", width=PHONE)
    found = [(day["day"][5:], day["so_far"]["clicks_per_user"].get(name)) for day in told["by_day"]]
    kept = [(day, one) for day, one in found if one and one["always_valid"]]
    days = [day for day, _ in kept]
    axis.axhline(0.0, color=SOFT, linewidth=0.8)
    for part, shade, label in (("always_valid", 0.15, "at every look"), ("difference", 0.3, "at one look")):
        low, high = ([one[part][end] for _, one in kept] for end in ("low", "high"))
        axis.fill_between(days, low, high, color=MARK, alpha=shade, linewidth=0, label=label)
    axis.plot(days, [one["difference"]["value"] for _, one in kept], color=INK, marker="o", markersize=3)
    axis.set_xticks(range(0, len(days), max(1, len(days) // 6)))
    axis.legend(frameon=False, fontsize=9)
    return svg(sheet)


def _daily(told: Mapping[str, Any]) -> str:
    sheet, axis = blank("CTR by day", width=PHONE)
    days = [day["day"][5:] for day in told["by_day"]]
    for colour, name in zip(COLOURS * len(told["variants"]), told["variants"], strict=False):
        values = [day["values"][name]["ctr"] for day in told["by_day"]]
        axis.plot(days, [float("nan") if one is None else 100 * one for one in values], color=colour, marker="o",
                  markersize=3, label=name)  # fmt: skip
    axis.set_ylabel("%")
    axis.set_xticks(range(0, len(days), max(1, len(days) // 6)))
    axis.legend(frameon=False, fontsize=9)
    return svg(sheet)


def _funnel(told: Mapping[str, Any]) -> str:
    sheet, axis = blank("each view comes to", width=PHONE)
    names = list(told["variants"])
    for place, (colour, name) in enumerate(zip(COLOURS * len(names), names, strict=False)):
        totals = told["variants"][name]
        lengths = [totals[step] / totals["views"] if totals["views"] else 0.0 for step in STEPS]
        at = [number + place * 0.8 / len(names) for number in range(len(STEPS))]
        drawn = axis.barh(at, lengths, height=0.75 / len(names), color=colour, label=name)
        axis.bar_label(drawn, fmt="%.3g", padding=4, color=INK, fontsize=8)
    axis.set_yticks([number + 0.4 - 0.4 / len(names) for number in range(len(STEPS))], STEPS)
    axis.invert_yaxis()
    axis.margins(x=0.15)
    axis.legend(frameon=False, fontsize=9, loc="lower right")
    return svg(sheet)


def _effects_in_words(told: Mapping[str, Any]) -> str:
    said = []
    for name in list(told["variants"])[1:]:
        found = told["metrics"]["clicks_per_user"].get(name)
        if found:
            sure = found["always_valid_p_holm"] < 0.05
            said.append(f"{name}: clicks per user {_change(found['relative']) or 'without a control'}, "
                        + ("different at any look." if sure else "not yet told from chance."))  # fmt: skip
    return " ".join(said)


def _split_in_words(told: Mapping[str, Any]) -> str:
    found = told["sample_ratio"]
    if found["p"] is None:
        return "Nothing can be said of the split."
    told_of = "as ordered" if found["sound"] else "not as ordered: find out why before you read on"
    return f"The split is {told_of} (p = {found['p']:.2g})."
