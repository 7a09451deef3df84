from pathlib import Path

import pytest

from coop.settings import SECRET_SETTINGS, BadSettings, Settings, load

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "settings.md").read_text(encoding="utf-8")


def test_an_unknown_setting_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "coop.toml"
    file.write_text('issuerr = "https://members.example"\n')

    with pytest.raises(BadSettings, match="did you mean 'issuer'"):
        load(file, environ={})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "coop.toml"
    file.write_text('issuer = "https://members.example"\nname = "From the file"\n')

    settings = load(
        file, environ={"COOP_NAME": "From the environment", "COOP_SMTP_PORT": "465", "PATH": "/bin"}
    )

    assert (settings.name, settings.smtp_port) == ("From the environment", 465)


def test_an_unknown_variable_is_an_error_too() -> None:
    with pytest.raises(BadSettings, match="did you mean 'secret_key'"):
        load(environ={"COOP_SECRET_KEYS": "x"})


@pytest.mark.parametrize("name", SECRET_SETTINGS)
def test_secrets_can_come_from_files(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("ab" * 32 + "\n")

    settings = load(environ={"COOP_DEMO": "true", f"COOP_{name.upper()}_FILE": str(file)})

    assert getattr(settings, name) == "ab" * 32


def test_plain_http_is_for_a_demo_on_loopback_only() -> None:
    with pytest.raises(BadSettings, match="https"):
        load(environ={"COOP_ISSUER": "http://members.example"})
    with pytest.raises(BadSettings, match="https"):
        load(environ={"COOP_ISSUER": "http://members.example", "COOP_DEMO": "true"})


@pytest.mark.parametrize(
    "issuer", ["members.example", "https://members.example/", "https://a@b/c", "ftp://x"]
)
def test_an_issuer_is_an_origin(issuer: str) -> None:
    with pytest.raises(BadSettings, match="issuer"):
        load(environ={"COOP_ISSUER": issuer})


def test_settings_show_no_secret() -> None:
    settings = Settings(demo=True, secret_key="ab" * 32, smtp_password="hunter2-hunter2")

    assert "abab" not in repr(settings)
    assert "hunter2" not in repr(settings)
