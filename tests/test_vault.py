"""Sealed credentials: they open for their row, with a key at hand, unchanged; and not otherwise."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.errors import ConfigurationError, SealError
from app.settings import Settings
from app.vault import Vault, new_key

OLD, NEW = os.urandom(32), os.urandom(32)


def settings(folder: Path, key: str | None = None) -> Settings:
    return Settings(data_dir=folder, key=SecretStr(key) if key is not None else None)


@given(st.binary(max_size=500), st.text(max_size=50))
def test_what_was_sealed_opens_for_its_row(data: bytes, context: str) -> None:
    vault = Vault([NEW])
    assert vault.open(vault.seal(data, context), context) == data


def test_the_same_credentials_never_look_the_same_sealed() -> None:
    vault = Vault([NEW])
    assert vault.seal(b"secret", "account:1") != vault.seal(b"secret", "account:1")


def test_a_sealed_value_copied_to_another_row_does_not_open() -> None:
    vault = Vault([NEW])
    sealed = vault.seal(b"secret", "account:1")
    with pytest.raises(SealError, match="account:17 do not open: they were changed, or belong to another row"):
        vault.open(sealed, "account:17")


def test_a_change_of_any_bit_is_noticed() -> None:
    vault = Vault([NEW])
    sealed = vault.seal(b"secret", "account:1")
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SealError):
            vault.open(bytes(changed), "account:1")


@given(st.binary(max_size=60))
def test_anything_else_is_refused_in_plain_words(junk: bytes) -> None:
    with pytest.raises(SealError, match=r"account:1 "):
        Vault([NEW]).open(junk, "account:1")


def test_what_an_old_key_sealed_opens_and_asks_to_be_sealed_anew() -> None:
    sealed = Vault([OLD]).seal(b"secret", "account:1")
    vault = Vault([NEW, OLD])
    assert vault.needs_rotation(sealed)
    anew = vault.seal(vault.open(sealed, "account:1"), "account:1")
    assert not vault.needs_rotation(anew)
    assert Vault([NEW]).open(anew, "account:1") == b"secret"


def test_a_key_that_was_taken_away_is_named_but_not_told() -> None:
    sealed = Vault([OLD]).seal(b"secret", "account:1")
    with pytest.raises(SealError, match=r"sealed with the key [0-9a-f]{8}, which is not at hand"):
        Vault([NEW]).open(sealed, "account:1")


def test_keys_come_from_the_environment_newest_first(tmp_path: Path) -> None:
    both = f"{base64.b64encode(NEW).decode()}, {base64.b64encode(OLD).decode()}"
    vault = Vault.load(settings(tmp_path, both))
    assert vault.open(Vault([OLD]).seal(b"secret", "a"), "a") == b"secret"
    assert Vault([NEW]).open(vault.seal(b"secret", "a"), "a") == b"secret"


def test_without_a_key_production_refuses_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no key to seal credentials with"):
        Vault.load(settings(tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


def test_the_demo_makes_a_key_once_that_only_it_can_read(tmp_path: Path) -> None:
    first = Vault.load(settings(tmp_path / "data"), create=True)
    path = tmp_path / "data" / "seal.key"
    assert path.stat().st_mode & 0o777 == 0o600
    again = Vault.load(settings(tmp_path / "data"), create=True)
    assert again.open(first.seal(b"secret", "a"), "a") == b"secret"
    assert [p.name for p in path.parent.iterdir()] == ["seal.key"]


def test_a_key_file_holds_one_key_a_line_and_remarks(tmp_path: Path) -> None:
    (tmp_path / "seal.key").write_text(f"# since spring\n{new_key()}\n\n{base64.b64encode(OLD).decode()}\n")
    assert Vault.load(settings(tmp_path)).open(Vault([OLD]).seal(b"x", "a"), "a") == b"x"


@pytest.mark.parametrize("key", ["tooshort", "not base64!", base64.b64encode(b"x" * 16).decode(), ","])
def test_a_key_that_is_none_is_said_so_without_showing_it(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="CARELINE_KEY") as told:
        Vault.load(settings(tmp_path, key))
    assert len(key) < 2 or key not in told.value.message


def test_an_unreadable_key_file_is_said_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "seal.key").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Vault.load(settings(tmp_path))
