"""The sections of a report: a question each, with the figures and tables that answer it, or why they cannot."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from seedbed import comparing
from seedbed.charts import catalogue, of_audit, of_study
from seedbed.charts.data import Figure
from seedbed.errors import InputError, first_line
from seedbed.records import Status
from seedbed.reporting.document import Missing, Section, TextTable
from seedbed.seeds import Assignment
from seedbed.study import Study
from seedbed.words import comparison, decomposition, hunting, text, wording

CONFIDENCE = 0.95
MOST_REASONS = 12  # of failed runs that are told


class Gathering:
    """Figures and tables of a section, as far as a study has what they show; the rest is noted as missing."""

    def __init__(self, missing: list[Missing]) -> None:
        self.figures: list[Figure] = []
        self.tables: list[TextTable] = []
        self.notes: list[str] = []
        self._missing = missing

    def figure(self, name: str, studies: Sequence[Study], score: str) -> None:
        """A chart of the catalogue."""
        self.add(catalogue.CHARTS[name].about, lambda: catalogue.figure(name, studies, score))

    def add(self, what: str, make: Callable[[], Figure]) -> None:
        """A figure, or why there is none."""
        try:
            figure = make()
        except InputError as error:
            self._missing.append(Missing(what, str(error)))
            return
        if not figure.table.rows:  # an empty chart says less than a sentence
            why = " ".join(figure.notes) or "there is nothing to draw"
            self._missing.append(Missing(what, f"{why[:1].lower()}{why[1:]}"))
            return
        self.figures.append(figure)

    def section(self, key: str, title: str, *text: str) -> Iterator[Section]:
        """The section, where anything is in it."""
        if self.figures or self.tables:
            notes = tuple(dict.fromkeys(self.notes))
            yield Section(key, title, text, tuple(self.figures), tuple(self.tables), notes)


def distribution(
    study: Study, score: str, missing: list[Missing], named: Sequence[Assignment] | None = None
) -> Iterator[Section]:
    """How scores are distributed over seeds; ``named`` as of ``of_study.distribution_of``."""
    found = Gathering(missing)
    found.add(catalogue.CHARTS["distribution"].about, lambda: of_study.distribution_of(study, score, named))
    found.figure("small_studies", [study], score)
    summaries = text.summaries_of(study)
    if summaries:
        rows = tuple(text.without_seeds(row) for row in text.summary_rows(study, summaries))  # which take much room
        found.tables.append(TextTable("Every score", text.SUMMARY_COLUMNS, rows))
        found.notes += [*text.summary_notes(study, summaries, score), *text.extreme_notes(study, summaries)]
    yield from found.section("distribution", "How the score is distributed over seeds")


def learning(study: Study, score: str, missing: list[Missing]) -> Iterator[Section]:
    """Learning curves of the score, and of the same metric on other rows."""
    found = Gathering(missing)
    metric = wording.metric_of(score)
    same = [each for each in study.scores if wording.metric_of(each) == metric and each != score]
    found.figure("curves", [study], score)
    for other in same[:1] if found.figures else ():
        found.figure("curves", [study], other)
    yield from found.section("curves", "How runs learn")


def planning(study: Study, score: str, missing: list[Missing]) -> Iterator[Section]:
    """How many seeds it takes."""
    found = Gathering(missing)
    found.figure("settling", [study], score)
    found.figure("seeds_needed", [study], score)
    yield from found.section("seeds", "How many seeds it takes")


def hunt_in(study: Study, score: str) -> hunting.Hunt | None:
    """What is known of choosing among a study's seeds; None where nothing is."""
    try:
        return hunting.hunt(study, score, None, CONFIDENCE)
    except InputError:
        return None


def hunting_for_seeds(study: Study, score: str, hunt: hunting.Hunt | None, missing: list[Missing]) -> Iterator[Section]:
    """What choosing the best of several seeds buys."""
    found = Gathering(missing)
    holdout = None if hunt is None else hunt.holdout
    found.add(catalogue.CHARTS["best_of_k"].about, lambda: of_study.best_of_k_of(study, score, hunt))
    found.add(catalogue.CHARTS["lead"].about, lambda: of_study.lead_of(study, score, holdout))
    if hunt is not None and found.figures:
        found.tables.append(TextTable("The best of k seeds", hunting.COLUMNS, tuple(hunting.rows(hunt))))
        found.notes += hunting.notes(hunt)
    yield from found.section(
        "hunting", "What hunting for a good seed buys",
        "The best score of several seeds is no property of the method: the more are tried, the better it looks.",
    )  # fmt: skip


def causes(study: Study, score: str, missing: list[Missing]) -> Iterator[Section]:
    """Where the spread comes from, of a crossed design."""
    found = Gathering(missing)
    found.figure("heat_map", [study], score)
    found.figure("components", [study], score)
    if found.figures:
        try:
            components = study.decompose(score, CONFIDENCE)
        except InputError:
            components = None
        if components is not None:
            rows = tuple(decomposition.component_rows(components))
            found.tables.append(TextTable("Sources of the spread", decomposition.COLUMNS, rows))
            found.notes += [text.as_sentence(note, study.scores) for note in components.notes]
    yield from found.section("causes", "Where the spread comes from")


def examples(study: Study, score: str, missing: list[Missing]) -> Iterator[Section]:
    """What of the spread is the finite test set, and which examples depend on the seed."""
    found = Gathering(missing)
    found.figure("test_set_luck", [study], score)
    found.figure("examples", [study], score)
    for figure in found.figures:
        for name, caption in (
            ("hardest", "Examples that are right least often"),
            ("changing", "Examples that change most"),
        ):
            if name in figure.tables and figure.tables[name].rows:
                rows = tuple((str(example), f"{float(share or 0):.1%}") for example, share in figure.tables[name].rows)
                found.tables.append(TextTable(caption, ("example", "right under so many of the seeds"), rows))
    yield from found.section("examples", "The examples behind the score")


def failures(study: Study) -> Iterator[Section]:
    """Why runs failed, and which did."""
    reasons: dict[str, list[Assignment]] = {}
    for run in study.runs:
        if run.status is Status.FAILED:
            reasons.setdefault(first_line(run.error or "no reason given"), []).append(run.assignment)
    if not reasons:
        return
    ordered = sorted(reasons.items(), key=lambda each: -len(each[1]))
    rows = tuple((why, str(len(those)), text.reached_by(study, tuple(those))) for why, those in ordered[:MOST_REASONS])
    more = len(ordered) - len(rows)
    yield Section(
        "failures", "Why runs failed", tables=(TextTable("Reasons of failures", ("reason", "runs", "which"), rows),),
        notes=(f"{text.counted(more, 'more reason')} not shown here.",) if more else (),
    )  # fmt: skip


def audit(kept: Mapping[str, Any] | None, missing: list[Missing], name: str) -> Iterator[Section]:
    """Whether one seed is one result: an audit that is stored."""
    if kept is None:
        why = f"no audit of {name} is stored: seedbed audit makes one"
        missing.append(Missing("whether one seed gives one result on other threads and devices", why))
        return
    figures: tuple[Figure, ...] = ()
    with contextlib.suppress(InputError):  # nothing differed
        figures = (of_audit.growth_from(kept["growth"], kept["growth_of_seeds"]),)
    rows = tuple(tuple(map(str, row)) for row in kept["rows"])
    yield Section(
        "audit", "Is one seed one result?", (str(kept["verdict"]),), figures,
        (TextTable("Conditions under which the run was trained again", tuple(kept["headings"]), rows),),
        tuple(f"{words}: {' '.join(sentences)}" for words, sentences in kept["findings"]) + tuple(kept["notes"]),
    )  # fmt: skip


def of_several(studies: Sequence[Study], score: str, missing: list[Missing]) -> tuple[tuple[str, ...], list[Section]]:
    """What is said first of several studies, and the section that sets them side by side."""
    names = comparing.names_of(studies)
    found = Gathering(missing)
    answer: list[str] = []
    found.figure("comparison", studies, score)
    at = wording.at(studies[0]) if len({wording.at(each) for each in studies}) == 1 else ""
    try:
        if len(studies) == 2:
            one = comparing.compare(studies[0], studies[1], metric=score, confidence=CONFIDENCE)
            answer += [
                f"{comparison.heading(names, score, one, at)}. {comparison.verdict(names, one)}.",
                ". ".join(
                    f"{label[:1].upper()}{label[1:]}: {words}" for label, words in comparison.rows(names, one)[:2]
                )
                + ".",
            ]
            found.tables.append(
                TextTable(f"{names[0]} beside {names[1]}", ("", ""), tuple(comparison.rows(names, one)))
            )
            found.notes += [text.as_sentence(note, names) for note in [*one.notes, comparison.scope_note(one.scope)]]
            if one.paired:
                found.add(
                    "differences of paired runs", lambda: of_study.differences_of(studies[0], studies[1], score, one)
                )
        else:
            every = comparing.compare_many(studies, metric=score, confidence=CONFIDENCE)
            resolved = sum(pair.better is not None for pair in every.pairs.values())
            larger = studies[0].larger_is_better(score)
            answer += [
                f"{comparison.heading_of_all(names, score, every, larger_is_better=larger, at=at)}.",
                f"{comparison.best_of_all(names, every)}. {resolved} of {len(every.pairs)} pairs differ beyond what "
                f"their seeds leave open, with intervals that hold jointly at {CONFIDENCE * 100:g} %.",
            ]
            found.add("all pairs", lambda: of_study.pairs_of(studies, score, every))
            rows = tuple(comparison.pair_rows(every))
            found.tables.append(TextTable("All pairs, first minus second", comparison.COLUMNS, rows))
            found.notes += [text.as_sentence(note, names) for note in comparison.pair_notes(every)]
    except InputError as error:
        missing.append(Missing("a comparison of these studies", str(error)))
    return tuple(answer), list(found.section("comparison", "Side by side"))


def of_one(
    whole: Study,
    study: Study,
    score: str,
    hunt: hunting.Hunt | None,
    missing: list[Missing],
    named: Sequence[Assignment] | None = None,
) -> Iterator[Section]:
    """All sections of one study.

    Args:
        named: as of ``of_study.distribution_of``.
        whole: all its runs; ``study`` has those of one kind: plain seeds, where there are such beside a crossed design.
    """
    yield from distribution(study, score, missing, named)
    yield from learning(study, score, missing)
    yield from planning(study, score, missing)
    yield from hunting_for_seeds(study, score, hunt, missing)
    yield from causes(whole, score, missing)
    yield from examples(study, score, missing)


def numbered(section: Section, study: str, place: int) -> Section:
    """A section of one of several studies: its title tells which."""
    return replace(
        section, key=f"{section.key}-{place}", title=f"{study}: {section.title[:1].lower()}{section.title[1:]}"
    )
