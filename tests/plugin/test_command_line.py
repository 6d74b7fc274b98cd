from __future__ import annotations

import pytest

from pytest_kerasequiv.plugin.command_line import without_secrets, without_user


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--api-token=a"], ["--api-token=***"]),
        (["--api-token", "a", "tests"], ["--api-token", "***", "tests"]),
        (["--password", "--verbose"], ["--password", "--verbose"]),
        (["-o", "db_password=a=b"], ["-o", "db_password=***"]),
        (["--AWS_SECRET_ACCESS_KEY=a"], ["--AWS_SECRET_ACCESS_KEY=***"]),
        (["--kerasequiv-workers=tcp://me:a@host:1"], ["--kerasequiv-workers=tcp://***@host:1"]),
        (["--url", "https://a@host/b"], ["--url", "https://***@host/b"]),
        (["--author=me", "-k", "token", "tests/test_tokens.py"],) * 2,
    ],
)
def test_values_of_secret_looking_options(given: list[str], shown: list[str]) -> None:
    assert list(without_secrets(given)) == shown


def test_an_address_without_a_user_stays() -> None:
    assert without_user("tcp://host:8786") == "tcp://host:8786"
