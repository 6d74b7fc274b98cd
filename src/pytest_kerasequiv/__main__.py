"""Comparing two models from a shell: ``python -m pytest_kerasequiv REFERENCE [CANDIDATE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pytest_kerasequiv.comparing import compare
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.revision.against import Against, Then
from pytest_kerasequiv.revision.repository import Repository
from pytest_kerasequiv.verdict import Report, Verdict

STATUS = {Verdict.EQUIVALENT: 0, Verdict.DIFFERENT: 1, Verdict.INCONCLUSIVE: 2}
BAD_INPUT = 3


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]  # argparse would exit with 2
        self.print_usage(sys.stderr)
        print(f"{self.prog}: error: {message}", file=sys.stderr)  # noqa: T201
        raise SystemExit(BAD_INPUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare two models, print the report and return the exit status.

    Returns:
        0 for EQUIVALENT, 1 for DIFFERENT, 2 for INCONCLUSIVE, 3 where an argument cannot be used.
    """
    asked = _parser().parse_args(arguments)
    try:
        return _compare(asked)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return BAD_INPUT


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pytest_kerasequiv",
        description="Compare two Keras models. Exit status: 0 equivalent, 1 different, 2 inconclusive, "
        "3 an argument cannot be used.",
    )
    named = "a .keras or .h5 file, or package.module:builder"
    parser.add_argument("reference", metavar="REFERENCE", help=f"{named}, or a .kerasequiv recording")
    parser.add_argument(
        "candidate", metavar="CANDIDATE", nargs="?", help=f"{named}; without it the other-API twin is derived"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write the report too, .json or .html")
    parser.add_argument(
        "--all", action="store_true", help="run every check, even where the answer is known before"
    )
    parser.add_argument(
        "--backend",
        metavar="NAME",
        help="run CANDIDATE with Keras on that backend (jax, torch), REFERENCE on TensorFlow; without "
        "CANDIDATE it is REFERENCE on both",
    )
    parser.add_argument(
        "--against",
        metavar="REV",
        help="take REFERENCE from that git revision (origin/main, origin/main..., a tag, a hash); without "
        "CANDIDATE it is compared with itself in the working tree",
    )
    return parser


def _compare(asked: argparse.Namespace) -> int:
    sys.path.insert(0, str(Path.cwd()))
    report_file: Path | None = asked.report
    if report_file is not None and report_file.suffix not in {".json", ".html"}:
        raise InputError(f"--report {report_file}: a report is written as .json or .html, by suffix")
    checks: Literal["all"] | None = "all" if asked.all else None
    if asked.against is not None and asked.backend is not None:
        raise InputError(
            f"--against {asked.against} and --backend {asked.backend} compare with different things; give one"
        )
    if asked.against is None:
        report = compare(asked.reference, asked.candidate, checks=checks, backend=asked.backend)
    else:
        report = _against(asked, checks)
    print(report)  # noqa: T201
    if report_file is not None:
        try:
            report.save(report_file)
        except OSError as error:
            raise InputError(f"--report {report_file}: the report cannot be written: {error}") from error
        print(f"written: {report_file}")  # noqa: T201
    return STATUS[report.verdict]


def _against(asked: argparse.Namespace, checks: Literal["all"] | None) -> Report:
    """Compare a builder with what REFERENCE was at a git revision."""
    repository = Repository.around(Path.cwd())
    against = Against(repository, repository.commit(asked.against), cache=None)
    candidate = asked.candidate or asked.reference
    try:
        twins = against.twins(Then(asked.reference), candidate, {"name": candidate})
        changes = " with changes that are not committed" if against.has_changes else ""
        print(f"{candidate} of the working tree{changes} against {twins.reference_label}")  # noqa: T201
        return compare(twins, checks=checks)
    finally:
        against.close()


if __name__ == "__main__":
    raise SystemExit(main())
