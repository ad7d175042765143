import hashlib
import secrets
from base64 import b64encode
from pathlib import Path
from string import ascii_letters, punctuation
from uuid import UUID

import pytest

from sharezync_shared.ids import uuid7
from sharezync_shared.secret_strength import weakness_of
from sharezync_shared.settings import Settings, read_settings
from sharezync_shared.start_refused import StartRefused


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_the_inherited_variables_are_read(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRET_KEY", "k" * 32)
    environment.setenv("ALGORITHM", "HS256")
    environment.setenv("ACCESS_TOKEN_EXPIRE_MINUTES", "30")
    environment.setenv("FRONTEND_ORIGIN", "https://a.example, https://b.example/")
    settings = Settings()
    assert settings.require_secret_key() == "k" * 32
    assert settings.algorithm == "HS256"
    assert settings.access_token_expire_minutes == 30
    assert settings.frontend_origin == ("https://a.example", "https://b.example")


def test_a_dotenv_file_is_read_and_the_environment_wins(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("PORT=1234\nLOG_LEVEL=DEBUG\n")
    environment.setenv("PORT", "4321")
    settings = Settings()
    assert settings.port == 4321
    assert settings.log_level == "debug"


def test_secrets_do_not_show_in_a_representation(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRET_KEY", "hidden-hidden-hidden-hidden-hidden")
    assert "hidden" not in repr(Settings())


def test_settings_can_not_be_changed(environment: pytest.MonkeyPatch) -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]  # the very thing that is refused


def test_what_is_missing_is_asked_for_by_name(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="DATABASE_URL"):
        Settings().require_database_url()
    with pytest.raises(SystemExit, match="SECRET_KEY"):
        Settings().require_secret_key()


def test_uuid7_has_version_variant_and_grows_with_time() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert {i.version for i in ids} == {7}
    assert {i.variant for i in ids} == {UUID(int=0x8 << 60).variant}
    assert len(set(ids)) == 1000
    assert [i.int >> 80 for i in ids] == sorted(i.int >> 80 for i in ids)


GOOD = "wX3vP9qLkT7mZr5nB1cY8dF6gH2jS4aEoUi"


@pytest.mark.parametrize("algorithm", ["ES256", "HS256"])
@pytest.mark.parametrize(
    ("variable", "secret"),
    [
        ("SECRET_KEY", GOOD[:31]),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "CHANGE-ME"),
        ("SECRET_KEY", f"change_me_{GOOD}"),
        ("SECRET_KEY", f"development-only-{GOOD}"),
        ("SECRET_KEY", f"your-secret-key-{GOOD}"),
        ("SECRET_KEY", "k" * 64),
        ("SECRET_KEY", "abc" * 30),
        ("SECRET_KEY", "Xk3!b9Zq2pLw" * 4),
        ("SECRET_KEY", f"{GOOD[:12]}{' ' * 40}"),
        ("SECRET_KEY", f"CHANGE  ME {GOOD}"),
        ("SECRET_KEY", f"Ｃｈａｎｇｅｍｅ{GOOD}"),
        ("SECRET_KEY", f"replace-me-{GOOD}"),
        ("SECRET_KEY", "use at least 32 random bytes, e.g. base64"),
        # As jwt.io, FastAPI's and Flask's documentation have them.
        ("SECRET_KEY", "a-string-secret-at-least-256-bits-long"),
        ("SECRET_KEY", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
        ("SECRET_KEY", "192B9BDD22AB9ED4D12E236C78AFCB9A393EC15F71BBF5DC987D54727823BCBF"),
        # What was to make one, in a file that no shell reads.
        ("SECRET_KEY", "$(openssl rand -base64 48 | tr -d =+/)"),
        ("SECRET_KEY", "`openssl rand -base64 48 | tr -d =+/`"),
        ("SECRET_KEY", "<the secret of auth, 32 bytes: see Vault>"),
        ("SECRET_KEY", "{{ vault.sharezync.auth.signing.key }}"),
        ("SECRET_KEY", "python3 -c 'import secrets; print(secrets.token_urlsafe())'"),
        ("SECRET_KEY", "not-a-secret-not-a-secret-at-all-xyz"),
        ("SECRET_KEY", "s3cr3t-k3y-f0r-d3v3l0pm3nt-0nly-1234"),
        ("SECRET_KEY", "fill-me-in-with-32-characters-abcdef"),
        ("SECRET_KEY", "admin123admin123admin123admin123xyz"),
        ("SECRET_KEY", "first_word1first_word1first_word1-2-3"),
        ("SECRET_KEY", b64encode(b"the password of this installation").decode()),
        ("SECRET_KEY", b"the password of this installation".hex()),
        ("SECRET_KEY", hashlib.sha256(b"secret").hexdigest()),
        ("SECRET_KEY", b64encode(bytes(range(32))).decode()),
        ("SECRET_KEY", bytes(range(32)).hex()),
        ("SECRET_KEY", bytes(range(255, 223, -1)).hex()),
        ("SECRET_KEY", "zyxwvutsrqponmlkjihgfedcba9876543210"),
        ("SECRET_KEY", "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8"),
        ("SECRET_KEY", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/"),
        ("SECRET_KEY", "550e8400-e29b-41d4-a716-446655440000"),
        ("SECRET_KEY", "3.14159265358979323846264338327950288"),
        ("SECRET_KEY", hashlib.md5(b"changeme\n").hexdigest()),
        ("SERVICE_SECRET", "the secret of chat"),
    ],
)
def test_a_secret_that_protects_nothing_stops_the_start_in_one_sentence(
    environment: pytest.MonkeyPatch, algorithm: str, variable: str, secret: str
) -> None:
    environment.setenv("ALGORITHM", algorithm)
    environment.setenv(variable, secret)
    with pytest.raises(SystemExit, match=variable) as stopped:
        read_settings(Settings)
    assert len(str(stopped.value).splitlines()) == 1
    assert not secret or secret not in str(stopped.value)
    environment.setenv(variable, GOOD)
    read_settings(Settings)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "AMQP_URL"])
def test_a_password_out_of_an_example_stops_the_start(
    environment: pytest.MonkeyPatch, variable: str
) -> None:
    scheme = "amqp" if variable == "AMQP_URL" else "postgresql"
    environment.setenv(variable, f"{scheme}://chat:CHANGE-ME@server.example.com/sharezync")
    with pytest.raises(SystemExit, match=variable):
        read_settings(Settings)
    environment.setenv(variable, f"{scheme}://chat:postgres@127.0.0.1/sharezync")
    read_settings(Settings)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "MIGRATE_DATABASE_URL"])
@pytest.mark.parametrize("url", ["sharezync", "mysql://u:hidden@h/x", "127.0.0.1:5432", "://"])
def test_what_is_no_url_of_postgresql_stops_the_start(
    environment: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    environment.setenv(variable, url)
    with pytest.raises(SystemExit, match=f"^{variable} is no URL of PostgreSQL") as stopped:
        read_settings(Settings)
    assert "hidden" not in str(stopped.value)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "MIGRATE_DATABASE_URL", "AMQP_URL"])
@pytest.mark.parametrize("password", ["hidden[x", "hidden／x", "hidden#x", "hidden/x", "hidden?x"])
def test_of_a_url_that_is_none_no_part_is_told(
    environment: pytest.MonkeyPatch, variable: str, password: str
) -> None:
    scheme = "amqp" if variable == "AMQP_URL" else "postgresql"
    environment.setenv(variable, f"{scheme}://chat:{password}@127.0.0.1:1/sharezync")
    with pytest.raises(SystemExit, match=f"^{variable} is no URL") as stopped:
        read_settings(Settings)
    assert "hidden" not in str(stopped.value)
    assert stopped.value.__suppress_context__, "the context quotes it"


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:a%23b@h1:5432,h2:5433/x?ssl=require", "postgresql://u:p@/x?host=/run/pg"],
)
def test_urls_of_several_hosts_or_of_none_will_do(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("DATABASE_URL", url)
    assert read_settings(Settings).database_url == url


def test_random_secrets_of_all_usual_kinds_will_do() -> None:
    for _ in range(300):
        encoded = b64encode(secrets.token_bytes(32)).decode()
        printable = "".join(secrets.choice(punctuation + ascii_letters) for _ in range(40))
        for secret in (secrets.token_urlsafe(36), secrets.token_hex(32), encoded, printable):
            assert weakness_of(secret) is None, secret
    assert weakness_of("<`hV>W`vHPHRpkG/fYcTI.bK|JzmwLn&;VF>R:(>") is None
    assert weakness_of("91bfe47817b5070a629397957df85fd9") is None, "it ends as it begins"


def test_what_is_not_valid_is_told_by_name_without_its_value(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PORT", "s3cr3t")
    environment.setenv("ALGORITHM", "none")
    with pytest.raises(SystemExit) as stopped:
        read_settings(Settings)
    assert "PORT: " in str(stopped.value)
    assert "ALGORITHM: " in str(stopped.value)
    assert "s3cr3t" not in str(stopped.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AMQP_URL", "http://rabbit.test"),
        ("REDIS_URL", "redis.test:6379"),
        ("FRONTEND_ORIGIN", "app.test"),
        ("FRONTEND_ORIGIN", "https://app.test/path"),
        ("CHAT_URL", "chat:8002"),
    ],
)
def test_what_leads_nowhere_stops_the_start_with_status_2(
    environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environment.setenv(variable, value)
    with pytest.raises(StartRefused, match=f"^{variable}") as stopped:
        read_settings(Settings)
    assert stopped.value.code == 2
    assert value not in str(stopped.value)


def test_origins_of_browsers_and_of_apps_will_do(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("FRONTEND_ORIGIN", "https://a.test:8443/, capacitor://localhost,*")
    origins = ("https://a.test:8443", "capacitor://localhost", "*")
    assert read_settings(Settings).frontend_origin == origins
