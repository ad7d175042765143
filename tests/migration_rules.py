"""What a migration must not do, since the release before it goes on serving meanwhile.

It is read as the SQL that `alembic upgrade --sql` prints: by squawk, and by a few rules of our own
for what squawk leaves alone. What breaks a rule for a good reason says so in the migration, for
each rule: `LINT_EXCEPTIONS = {"ban-drop-column": "no release reads it since 0.2"}`.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Final

from alembic import command
from alembic.script import Script, ScriptDirectory

from sharezync_shared.db.migrating import config_for

_SQUAWK: Final = Path(sys.executable).with_name("squawk")
_POSTGRES_VERSION: Final = "15"
"""The oldest that we run on, which has the fewest ways to do things without a lock."""
_LEFT_OUT: Final = {
    "prefer-bigint-over-int": "what is counted in 32 bits has a limit far below them",
    "prefer-text-field": "Alembic's own table has a VARCHAR",
    "prefer-robust-stmts": "a migration is one transaction; what isn't must be repeatable: below",
}
_OURS: Final = {
    "rewrites-rows": (
        r"(UPDATE|DELETE|INSERT|MERGE|COPY|TRUNCATE|WITH|SELECT|DO|CALL)\b(?!.*alembic_version)",
        "rows stay locked until the migration ends: let the service fill them in, batch by batch",
    ),
    "locks-long": (
        (
            r"(LOCK|CLUSTER|VACUUM|REFRESH|REINDEX(?!.*CONCURRENTLY))\b"
            r"|ALTER TABLE.* (SET (UN)?LOGGED|SET TABLESPACE|ADD .*EXCLUDE)\b"
        ),
        "nobody reads or writes the table until it is done",
    ),
    "unrepeatable": (
        r"(CREATE|DROP) (UNIQUE )?INDEX CONCURRENTLY (?!IF)",
        "one that fails leaves an invalid index: DROP ... IF EXISTS, then CREATE ... IF NOT EXISTS",
    ),
}
"""What a statement must not look like, and why."""
_PATIENT: Final = re.compile(r"CONCURRENTLY|VALIDATE CONSTRAINT", re.IGNORECASE)
"""What nobody else waits behind while it waits: it may do so for longer than `lock_timeout`."""


@dataclass(frozen=True)
class LintFinding:
    """A statement of a migration that breaks a rule."""

    rule: str
    statement: str
    why: str


def faults_in(package: str) -> list[str]:
    """Return in sentences what is wrong with the migrations of `package` (a name, or a path)."""
    scripts = ScriptDirectory.from_config(config_for(package))
    return [fault for script in scripts.walk_revisions() for fault in _faults_of(package, script)]


def _faults_of(package: str, script: Script) -> Iterator[str]:
    allowed: Mapping[str, str] = getattr(script.module, "LINT_EXCEPTIONS", {})
    found = findings_in(sql_of(package, script))
    for each in found:
        if each.rule not in allowed:
            yield f"{script.revision} breaks {each.rule}: {each.statement!r}. {each.why}"
    for rule, reason in allowed.items():
        if rule not in {each.rule for each in found}:
            yield f"{script.revision} allows {rule}, which it doesn't break"
        if len(reason.split()) < 3:
            yield f"{script.revision} allows {rule} without a reason"


def sql_of(package: str, script: Script) -> str:
    """Return what the migration sends to PostgreSQL.

    Raises AttributeError where it reads from the database what it does next: it can't be printed.
    """
    config = config_for(package)
    config.output_buffer = printed = StringIO()
    command.upgrade(config, f"{script.down_revision or 'base'}:{script.revision}", sql=True)
    return printed.getvalue()


def findings_in(sql: str) -> list[LintFinding]:
    """Return which rules are broken by statements of `sql`."""
    statements = [
        " ".join(line for line in lines.split("\n") if not line.startswith("--")).strip()
        for lines in sql.split(";\n")
    ]
    return [*_by_squawk(sql), *_by_our_rules([each for each in statements if each])]


def _by_squawk(sql: str) -> Iterator[LintFinding]:
    options = ["--reporter", "json", "--pg-version", _POSTGRES_VERSION]
    options += [f"--exclude={rule}" for rule in _LEFT_OUT]
    told = subprocess.run(
        [_SQUAWK, *options], input=sql, capture_output=True, text=True, check=False
    )
    if told.returncode not in {0, 1}:
        raise RuntimeError(told.stderr)
    lines = sql.splitlines()
    for each in json.loads(told.stdout):
        yield LintFinding(each["rule_name"], lines[each["line"]].strip(), each["message"])


def _by_our_rules(statements: list[str]) -> Iterator[LintFinding]:
    patient = False
    for statement in statements:
        for rule, (pattern, why) in _OURS.items():
            if re.match(pattern, statement, re.IGNORECASE):
                yield LintFinding(rule, statement, why)
        if setting := re.match(r"SET (?:LOCAL )?lock_timeout = (.*)", statement, re.IGNORECASE):
            patient = setting[1] != "'3s'"
        elif patient and not _PATIENT.search(statement):
            why = "others wait behind it: let it give up after 3 s"
            yield LintFinding("lock-timeout", statement, why)
