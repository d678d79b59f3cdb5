"""A report of stored studies."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seedbed import comparing
from seedbed import store as stores
from seedbed.errors import InputError
from seedbed.reporting import answers, remaking, sections
from seedbed.reporting.document import Document, Missing, Section
from seedbed.seeds import Assignment, SeedsLike, as_assignments
from seedbed.study import Study
from seedbed.words import text, wording


def document(
    studies: Sequence[Study],
    score: str | None = None,
    store: str | os.PathLike[str] | None = None,
    named: SeedsLike | None = None,
) -> Document:
    """What is known of one study, or of several beside each other.

    Args:
        score: the primary one of the first study that has any where none is given.
        store: where verifications and audits of them are looked up; not at all where none is given.
        named: runs that are named in the distribution, of each study those that it has; the best and the worst where
            none are given.

    Raises:
        InputError: there is no study, one has no run, or no such score; no study has a run that is to be named.
    """
    checked(studies)
    names = comparing.names_of(studies)
    missing: list[Missing] = []
    found: list[Section] = []
    answer: tuple[str, ...] = ()
    chosen = [each.of_one_kind for each in studies]
    chosen_score = _score(chosen, score)
    marked = _named(chosen, chosen_score, named)
    if chosen_score is None:
        missing.append(Missing("anything of scores", f"no run of {wording.listed(names)} has told a score"))
        answer = tuple(f"No run of {name} ended with a score." for name in names)
    elif len(studies) == 1:
        hunt = sections.hunt_in(chosen[0], chosen_score)
        answer = answers.of_study(chosen[0], chosen_score, hunt)
        found += sections.of_one(studies[0], chosen[0], chosen_score, hunt, missing, marked[0])
    else:
        said, beside = sections.of_several(chosen, chosen_score, missing)
        answer = said
        found += beside
        for place, (name, each) in enumerate(zip(names, chosen, strict=True)):
            answer += answers.of_one_among_several(name, each, chosen_score)
            own = sections.distribution(each, chosen_score, missing, marked[place])
            found += [sections.numbered(section, name, place) for section in own]
    for place, (name, each) in enumerate(zip(names, studies, strict=True)):
        more = list(sections.failures(each))
        audit = None if store is None else stores.kept_audit(each.name, store)
        if audit is not None or len(studies) == 1:
            more += sections.audit(audit, missing, name)
        found += [sections.numbered(section, name, place) for section in more] if len(studies) > 1 else more
    return Document(
        " and ".join(names) if len(names) < 3 else wording.listed(names), answer, tuple(found), _told_once(missing),
        tuple(_made(studies, names, store)), tuple(filter(None, map(remaking.command, studies))),
    )  # fmt: skip


def checked(studies: Sequence[Study]) -> Sequence[Study]:
    """These studies, where a report can be made of them.

    Raises:
        InputError: there is none, one has no run, or is no study.
    """
    if not studies:
        raise InputError("a report needs at least one study")
    for each in studies:
        if not isinstance(each, Study):
            raise InputError(f"a report takes studies, got {type(each).__name__}: sb.load(name) reads one")
        if not len(each):
            raise InputError(f"{each.name} has no run to report")
    return studies


def _score(studies: Sequence[Study], score: str | None) -> str | None:
    """The score by its full name; None where no run of any study told one."""
    told = next((each for each in studies if each.scores), None)
    return None if told is None else told.check_score(score)


def _named(
    studies: Sequence[Study], score: str | None, asked: SeedsLike | None
) -> Sequence[Sequence[Assignment] | None]:
    """Of each study the runs that are to be named, as far as it has them; None where that is left to the chart."""
    if asked is None or score is None:
        return [None] * len(studies)
    wanted = as_assignments(asked)
    found = [[each for each in wanted if study.has(each)] for study in studies]
    for each in wanted:
        if not any(each in those for those in found):
            names = wording.listed([study.name for study in studies])
            none = f"{names} has no run" if len(studies) == 1 else f"none of {names} has a run"
            raise InputError(f"{none} with {each.key}")
    return found


def _told_once(missing: Sequence[Missing]) -> tuple[Missing, ...]:
    """What is missing for one reason, told together."""
    by_reason: dict[str, list[str]] = {}
    for each in missing:
        whats = by_reason.setdefault(each.why, [])
        if each.what not in whats:
            whats.append(each.what)
    return tuple(Missing(wording.listed(whats), why) for why, whats in by_reason.items())


def _made(
    studies: Sequence[Study], names: Sequence[str], store: str | os.PathLike[str] | None
) -> Iterator[tuple[str, str]]:
    """How the runs were made, and how far a fast engine's lie from the reference engine's."""
    several = len(studies) > 1
    for name, study in zip(names, studies, strict=True):
        before = f"{name}: " if several else ""
        yield f"{before}runs", f"{text.counted(len(study), 'run')} {text.origin(study)}, {wording.seeds(study)}"
        yield f"{before}varied", text.varied(study)
        yield f"{before}fixed", text.fixed(study)
        for key, environment in study.environments.items():
            known = {**environment.identity, **environment.details}
            yield f"{before}environment", _environment(known)
            found = None if store is None else stores.recall(study.name, key, store)
            if found is not None:
                yield f"{before}verified", found.line
            elif store is not None and study.identity.is_of_a_fast_engine:
                engine = study.identity.engine
                yield f"{before}verified", f"no: no run of the {engine} engine was set beside the reference engine's"


def _environment(known: Mapping[str, Any]) -> str:
    shown = ("seedbed", "python", "torch", "numpy", "llvm", "gpu", "cuda", "processor", "cpu_capability", "cores",
             "platform", "imported_from")  # fmt: skip
    return ", ".join(f"{name} {known[name]}" for name in shown if known.get(name) is not None)
