"""The tables of a store."""

from sqlalchemy import (
    JSON,
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
    UniqueConstraint,
)

# History: 1, the first. A table that is only added leaves it as it is: an older Seedbed does not look there, its rows
# going with a study that it deletes; a newer one makes the table where it is missing (``connection.ADDED``).
VERSION = 1

metadata = MetaData()

about = Table("seedbed_about", metadata, Column("name", String(64), primary_key=True), Column("value", Text))

environments = Table(
    "seedbed_environments",
    metadata,
    Column("hash", String(32), primary_key=True),
    Column("identity", JSON, nullable=False),
    Column("details", JSON, nullable=False),
)

studies = Table(
    "seedbed_studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("experiment", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("shapes", JSON, nullable=False),
    Column("source", JSON, nullable=False),
    Column("engine", String(32), nullable=False),
    Column("engine_settings", JSON, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("device", String(64), nullable=False),
    Column("primary_score", Text, nullable=False),
    Column("larger_is_better", JSON, nullable=False),  # pairs, in the order of the scores
    Column("result_line", Text),
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
    Column("split", Integer, primary_key=True),
    Column("data_hash", String(64), nullable=False),
)

evaluation_sets = Table(
    "seedbed_evaluation_sets",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("split", Integer, primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("examples", Integer, nullable=False),
    Column("held_out", Boolean, nullable=False),
    Column("classes", Integer),
    Column("target_type", String(16), nullable=False),
    Column("target_shape", JSON, nullable=False),
    Column("targets", LargeBinary, nullable=False),
)

runs = Table(
    "seedbed_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), nullable=False),
    Column("assignment", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("weights_hash", String(64)),
    Column("wall_seconds", Float, nullable=False),
    Column("finished", Float, nullable=False),  # seconds since 1970
    Column("environment", ForeignKey("seedbed_environments.hash"), nullable=False),
    Column("mixed", Boolean, nullable=False),
    Column("curve_epochs", JSON, nullable=False),
    Column("has_examples", Boolean, nullable=False),
    Column("error", Text),
    UniqueConstraint("study_id", "assignment"),
    sqlite_autoincrement=True,
)

# A value that is NaN is stored as NULL: SQLite has no NaN.
scores = Table(
    "seedbed_scores",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("value", Float(53)),
)

curves = Table(
    "seedbed_curves",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("numbers", LargeBinary, nullable=False),  # little-endian float64, one for each of curve_epochs
)

predictions = Table(
    "seedbed_predictions",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("evaluation_set", String(128), primary_key=True),
    Column("shape", JSON, nullable=False),
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
    Column("reason", String(8), primary_key=True),  # all, best or worst
)

# What a run printed, where that is kept. Added after the first stores were written.
outputs = Table(
    "seedbed_outputs",
    metadata,
    Column("run_id", ForeignKey("seedbed_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("text", Text, nullable=False),
)

# How far the runs of an engine in an environment lie from the reference engine's.
verifications = Table(
    "seedbed_verifications",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("environment", ForeignKey("seedbed_environments.hash"), primary_key=True),
    Column("found", JSON, nullable=False),
)

# Rules that said when a study had runs enough, and what they found. Added after the first stores were written.
stoppings = Table(
    "seedbed_stoppings",
    metadata,
    Column("study_id", ForeignKey("seedbed_studies.id", ondelete="CASCADE"), primary_key=True),
    Column("rule", String(2000), primary_key=True),  # canonical JSON: rule, studies and seeds
    Column("n", Integer, nullable=False),
    Column("found", JSON, nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970
)
