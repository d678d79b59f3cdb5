"""Which column of a table is what: told by the caller, or guessed from names and cells."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from seedbed.errors import InputError
from seedbed.metrics import guess_direction
from seedbed.scores.cells import are_blank, are_numbers, are_seeds
from seedbed.scores.table import Table
from seedbed.seeds import ROLES

SEEDS = ("seed", "random_seed", "rng_seed", "run_seed", "random_state", "seeds")
GROUPS = ("group", "method", "model", "algorithm", "algo", "variant", "arm", "condition", "system", "approach",
          "config", "configuration", "treatment", "optimizer", "experiment", "study")  # fmt: skip
METRIC_NAMES = ("metric", "metric_name", "measure", "score_name")
METRIC_VALUES = ("value", "score", "result", "metric_value")
NO_SCORES = frozenset(
    {"run", "run_id", "run_number", "trial", "rep", "repeat", "replicate", "repetition", "fold", "id", "index", "row",
     "rank", "epoch", "epochs", "step", "steps", "iteration", "iterations", "time", "timestamp", "date", "created",
     "runtime", "duration", "seconds", "wall_seconds", "wall_time", "mixed", "weights_hash", "lr", "learning_rate",
     "batch_size", "weight_decay", "momentum", "dropout", "hidden", "layers", "depth", "width", "params"}
)  # fmt: skip
_SCORES = re.compile(
    r"(^|[\W_])(acc|accuracy|top_?[0-9]+|f1|auc|auroc|auprc|ap|map|precision|recall|bleu|rouge|meteor|score|reward|return"
    r"|iou|miou|dice|r2|psnr|ssim|mcc|kappa|em|elo|win_?rate|success|success_?rate|ndcg|mrr|correlation|spearman|pearson"
    r"|log_?likelihood|elbo)($|[\W_])"
)
_SEED_COLUMN = re.compile(r"(seed|s|run|rep|trial)?[ _=#-]?(\d+)", re.IGNORECASE)

#: How a table holds scores. ``runs``: a run a row, a metric a column. ``cells``: a score a row, its metric named in a
#: column. ``seeds``: a seed a row, a group a column. ``groups``: a group a row, a seed a column.
Shape = Literal["runs", "cells", "seeds", "groups"]


@dataclass(frozen=True)
class Layout:
    """What the columns of a table are.

    Attributes:
        shape: how the table holds scores.
        metrics: columns (of ``runs``) or names (of the others) of the scores, in order; of ``cells`` none means all.
        seed: column of plain seeds.
        roles: role to column of its seeds.
        group: column of groups.
        names, values: of ``cells``, the columns that name a metric and hold its value.
        across: of ``seeds`` and ``groups``, the columns that hold scores.
        status: column that tells how each run ended.
        guessed: which of shape, seed, group, metrics nobody told.
    """

    shape: Shape
    metrics: tuple[str, ...] = ()
    seed: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    names: str | None = None
    values: str | None = None
    across: tuple[str, ...] = ()
    status: str | None = None
    guessed: frozenset[str] = frozenset()

    @property
    def has_seeds(self) -> bool:
        """Whether the runs' seeds are known."""
        if self.shape == "groups":
            return all(seed_of_column(name) is not None for name in self.across)
        return self.seed is not None or bool(set(self.roles) - {"split"})

    @property
    def used(self) -> set[str]:
        """The columns that are read."""
        named = (self.seed, self.group, self.names, self.values, self.status, *self.roles.values(), *self.across)
        return {each for each in (*named, *self.metrics * (self.shape == "runs")) if each is not None}


def seed_of_column(name: str) -> str | None:
    """The seed that a column's name gives (``seed_3``, ``s3``, ``3``); None where it only numbers runs, or neither."""
    found = _SEED_COLUMN.fullmatch(name)
    return found[2] if found and (found[1] or "seed").lower() in ("seed", "s") else None


def find(
    table: Table, seed: str | None, metrics: tuple[str, ...], group: str | None, form: Literal["long", "wide"] | None
) -> Layout:
    """What each column is. What the caller names is taken as named; the rest is guessed.

    Raises:
        InputError: a column that is named is not there, or there is nothing to go by.
    """
    for name in (seed, group):
        if name is not None:
            check_column(table, name)
    if seed is not None and seed == group:
        raise InputError(f"{table.path}: the column {seed!r} cannot hold both seeds and groups")
    taken = {name for name in (seed, group) if name is not None}
    guessed = {what for what, told in (("seed", seed), ("group", group), ("metrics", metrics)) if not told}
    if seed is None:
        seed = next((name for name in _named(table, SEEDS, taken) if not are_blank(table.column(name))), None)
    # An export of runs with a seed for each role has a column of plain seeds too, empty there.
    plain = seed is not None and ("seed" not in guessed or all(table.column(seed)))
    roles = _roles(table, seed, group, plain=plain)
    base = Layout("runs", metrics, seed, roles, group, status=_status(table), guessed=frozenset(guessed))
    free = [name for name in table.columns if name not in base.used]
    across = tuple(name for name in free if _SEED_COLUMN.fullmatch(name) and are_numbers(table.column(name)))
    if form != "long" and seed is None and len(across) >= (1 if form else 2) and not set(metrics) & set(table.columns):
        return _a_group_a_row(table, base, free, across, forced=form is not None)
    if form == "wide" and group is not None:
        raise InputError(
            f"{table.path}: in wide form beside a column of groups, the other columns are seeds, such as seed_0, "
            f"seed_1; there is no such column among {_listed(free)}"
        )
    if form != "wide" and (cells := _cells(table, base, free)) is not None:
        return cells
    if form != "wide" and group is None:
        group = _group(table, [name for name in free if name not in metrics])
        base = replace(base, group=group)
        free = [name for name in free if name != group]
    candidates = tuple(name for name in free if name.lower() not in NO_SCORES and _are_scores(table, name))
    scores = tuple(name for name in candidates if looks_like_score(name))
    if form == "wide" or (form is None and group is None and not metrics and not scores and len(candidates) > 1):
        return _a_seed_a_row(table, base, candidates, forced=form is not None)
    for name in metrics:
        if name in (base.seed, base.group):
            raise InputError(f"{table.path}: the column {name!r} holds {'seeds' if name == seed else 'groups'}")
        wide = group is None and not scores and len(candidates) > 1
        check_column(table, name, hint="; with --form wide it names what the cells hold" if wide else "")
    chosen = metrics or scores or candidates
    if not chosen:
        raise InputError(f"{table.path}: no column of numbers is left for scores among {_listed(table.columns)}: name "
                         f"one with --metric (in Python: metric=)")  # fmt: skip
    return replace(base, metrics=chosen)


def looks_like_score(name: str) -> bool:
    """Whether a column's name is that of a score, such as ``test_acc``."""
    return not guess_direction(name) or bool(_SCORES.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()))


def check_column(
    table: Table, name: str, among: Iterable[str] | None = None, what: str = "column", hint: str = ""
) -> str:
    """``name`` if there is such a column, or an InputError with near names."""
    names = list(table.columns if among is None else among)
    if name in names:
        return name
    folded = {each.lower(): each for each in names}
    near = [folded[each] for each in difflib.get_close_matches(name.lower(), folded, 3, 0.5)]
    told = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {_listed(names)}"
    raise InputError(f"{table.path} has no {what} {name!r}: {told}{hint}")


def _a_group_a_row(table: Table, base: Layout, free: list[str], across: tuple[str, ...], *, forced: bool) -> Layout:
    group = base.group or _group(table, [name for name in free if name not in across], distinct=True)
    guessed = base.guessed - {"metrics"} | ({"shape"} if not forced else set())
    return replace(
        base, shape="groups", metrics=_one_name(base), group=group, across=across, roles={}, guessed=frozenset(guessed)
    )


def _a_seed_a_row(table: Table, base: Layout, candidates: tuple[str, ...], *, forced: bool) -> Layout:
    if not candidates:
        raise InputError(f"{table.path}: no column of numbers is left for groups among {_listed(table.columns)}")
    guessed = base.guessed - {"metrics", "group"} | ({"shape"} if not forced else set())
    return replace(base, shape="seeds", metrics=_one_name(base), across=candidates, guessed=frozenset(guessed))


def _one_name(base: Layout) -> tuple[str, ...]:
    """What the cells of a wide table are called."""
    if len(base.metrics) > 1:
        raise InputError(f"the cells of a wide table hold one score, and {len(base.metrics)} are named")
    return base.metrics


def _cells(table: Table, base: Layout, free: list[str]) -> Layout | None:
    """The layout of a score a row, where a column names metrics and another holds their values."""
    names = next((n for n in _named(table, METRIC_NAMES, base.used) if not are_numbers(table.column(n))), None)
    values = next((n for n in _named(table, METRIC_VALUES, base.used) if are_numbers(table.column(n))), None)
    if names is None or values is None or set(base.metrics) & set(table.columns):
        return None
    there = dict.fromkeys(table.column(names))
    for name in base.metrics:
        check_column(table, name, there, "metric")
    group = base.group or _group(table, [name for name in free if name not in (names, values)])
    return replace(base, shape="cells", names=names, values=values, group=group)


def _group(table: Table, free: list[str], *, distinct: bool = False) -> str | None:
    """The column that tells groups: by its name, or the only one that holds several words, some of them again.

    ``distinct``: each group has one row.
    """
    for name in _named(table, GROUPS, set(table.columns) - set(free)):
        if are_numbers(table.column(name)) or _are_words(table.column(name)):
            return name
    words = [
        name
        for name in free
        if name.lower() not in NO_SCORES and _are_words(table.column(name)) and not _are_scores(table, name)
    ]
    if not distinct:
        words = [name for name in words if 1 < len(set(table.column(name))) < len(table.rows)]
    if len(words) > 1:
        raise InputError(f"{table.path}: which column tells the groups? Name one of {_listed(words)} with --group "
                         f"(in Python: group=)")  # fmt: skip
    return words[0] if words else None


def _are_scores(table: Table, name: str) -> bool:
    """Whether a column holds numbers; where its name is that of a score, the first is enough, and the rest mistakes."""
    return are_numbers(table.column(name), one_is_enough=looks_like_score(name))


def _are_words(cells: tuple[str, ...]) -> bool:
    """Whether a column holds text that can be a name: some, no numbers, and no list or object of a JSON file."""
    return any(cells) and not are_numbers(cells) and not any(cell.startswith(("{", "[")) for cell in cells)


def _roles(table: Table, seed: str | None, group: str | None, *, plain: bool) -> dict[str, str]:
    """Role to its column, of those whose columns hold whole numbers; ``plain``: every run has a plain seed.

    A split alone is none: nothing would tell its runs apart.
    """
    found: dict[str, str] = {}
    for role in ROLES:
        for name in _named(table, (role, f"{role}_seed", f"seed_{role}"), (seed, group)):
            if are_seeds(table.column(name)) and (role == "split" or not plain):
                found.setdefault(role, name)
    return found if set(found) - {"split"} or seed is not None else {}


def _status(table: Table) -> str | None:
    """The column of an export of Seedbed's own that tells how runs ended."""
    return next(
        (n for n in _named(table, ("status",), ()) if set(table.column(n)) <= {"done", "diverged", "failed"}), None
    )


def _named(table: Table, names: Iterable[str], taken: Iterable[str | None]) -> list[str]:
    """The columns of these names, however they are written, in the order of ``names``."""
    folded = {re.sub(r"[\W_]+", "_", each.lower()).strip("_"): each for each in reversed(table.columns)}
    taken = set(taken)
    return [folded[name] for name in names if name in folded and folded[name] not in taken]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
