"""The tables of a store."""

import json
import re
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

# History: 1, the first. A table that is only added leaves it as it is: an older Seedbed does not look there, its rows
# going with a study that it deletes; a newer one makes the table where it is missing (``connection.ADDED``).
VERSION = 1

_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


class FreeText(TypeDecorator[str]):
    """Text that somebody's program or name gave: what a database refuses in it is stored as U+FFFD.

    PostgreSQL takes no NUL, and neither database a lone surrogate, as Python reads bytes that are no UTF-8. What is
    looked for is changed alike, and so found. A length is only stated, as SQLite does: PostgreSQL would refuse more.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type in a database."""
        stated = String(self.length) if self.length is not None and dialect.name != "postgresql" else Text()
        return dialect.type_descriptor(stated)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """What is stored, or looked for."""
        return None if value is None else _NOT_STORABLE.sub("\ufffd", value)


class _JsonText(TypeDecorator[Any]):
    """JSON as Python writes it, with NaN and infinities, which PostgreSQL's own type refuses."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


_Json = JSON().with_variant(_JsonText(), "postgresql")
_Number = Integer().with_variant(BigInteger(), "postgresql")  # a seed takes 32 bits, and SQLite's integers have 64

metadata = MetaData()

about = Table("seedbed_about", metadata, Column("name", String(64), primary_key=True), Column("value", FreeText()))

environments = Table(
    "seedbed_environments",
    metadata,
    Column("hash", String(32), primary_key=True),
    Column("identity", _Json, nullable=False),
    Column("details", _Json, nullable=False),
)

studies = Table(
    "seedbed_studies",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("name", FreeText(), nullable=False, unique=True),
    Column("experiment", FreeText(), nullable=False),
    Column("parameters", _Json, nullable=False),
    Column("settings", _Json, nullable=False),
    Column("shapes", _Json, nullable=False),
    Column("source", _Json, nullable=False),
    Column("engine", String(32), nullable=False),
    Column("engine_settings", _Json, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("device", String(64), nullable=False),
    Column("primary_score", FreeText(), nullable=False),
    Column("larger_is_better", _Json, nullable=False),  # pairs, in the order of the scores
    Column("result_line", FreeText()),
    Column("environment", ForeignKey("seedbed_environments.hash"), nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970
    Column("marker", String(32), nullable=False),  # drawn anew when a study is made: a writer knows its own by it
    sqlite_autoincrement=True,  # the number of a deleted study is never given to another
)

# One row for each split of a study: the hash of its data, which every process must find again.
splits = Table(
    "seedbed_splits",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("split", _Number, primary_key=True),
    Column("data_hash", String(64), nullable=False),
)

evaluation_sets = Table(
    "seedbed_evaluation_sets",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("split", _Number, primary_key=True),
    Column("name", FreeText(128), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("examples", _Number, nullable=False),
    Column("held_out", Boolean, nullable=False),
    Column("classes", _Number),
    Column("target_type", String(16), nullable=False),
    Column("target_shape", _Json, nullable=False),
    Column("targets", LargeBinary, nullable=False),
)

runs = Table(
    "seedbed_runs",
    metadata,
    Column("id", _Number, primary_key=True),
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), nullable=False),
    Column("assignment", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("weights_hash", String(64)),
    Column("wall_seconds", Float, nullable=False),
    Column("finished", Float, nullable=False),  # seconds since 1970
    Column("environment", ForeignKey("seedbed_environments.hash"), nullable=False),
    Column("mixed", Boolean, nullable=False),
    Column("curve_epochs", _Json, nullable=False),
    Column("has_examples", Boolean, nullable=False),
    Column("error", FreeText()),
    UniqueConstraint("study_id", "assignment"),
    sqlite_autoincrement=True,
)

# A value that is NaN is stored as NULL: SQLite has no NaN.
scores = Table(
    "seedbed_scores",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", FreeText(256), primary_key=True),
    Column("value", Float(53)),
)

curves = Table(
    "seedbed_curves",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", FreeText(256), primary_key=True),
    Column("numbers", LargeBinary, nullable=False),  # little-endian float64, one for each of curve_epochs
)

predictions = Table(
    "seedbed_predictions",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("evaluation_set", FreeText(128), primary_key=True),
    Column("shape", _Json, nullable=False),
    Column("packed", LargeBinary, nullable=False),  # classes bit-packed (records.pack_classes), or float32
)

weights = Table(
    "seedbed_weights",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("safetensors", LargeBinary, nullable=False),
)

# Why a run's weights are kept: it may be for several reasons at once.
kept = Table(
    "seedbed_kept",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("reason", String(8), primary_key=True),  # all, best, worst or verify
)

# What a run printed, where that is kept. Added after the first stores were written.
outputs = Table(
    "seedbed_outputs",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("text", FreeText(), nullable=False),
)

# How far the runs of an engine in an environment lie from the reference engine's.
verifications = Table(
    "seedbed_verifications",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("environment", ForeignKey("seedbed_environments.hash"), primary_key=True),
    Column("found", _Json, nullable=False),
)

# Rules that said when a study had runs enough, and what they found. Added after the first stores were written.
stoppings = Table(
    "seedbed_stoppings",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("rule", FreeText(2000), primary_key=True),  # canonical JSON: rule, studies and seeds
    Column("n", _Number, nullable=False),
    Column("found", _Json, nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970
)

# The last audit of a study, as a report shows it. Added after the first stores were written.
audits = Table(
    "seedbed_audits",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("found", _Json, nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970
)
