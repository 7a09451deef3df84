import anyio
import pytest

from coop.identity.passwords import WAITING, Busy, Hasher, WeakPassword, checked, normalised

GOOD = "violet tram under seven bridges"


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "fourteen chars"[:14],
        "passwordpassword",
        "aaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "123456789012345678",
        "qwertyuiopasdfghjkl",
        "correct horse battery staple",
        "ada_lovelace ada_lovelace",
        "commons cooperative 2026",
        "Password Password 123",
    ],
)
def test_what_anybody_would_try_first_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        checked(password, names=("ada_lovelace", "Commons Cooperative"))


@pytest.mark.parametrize(
    "password", [GOOD, "zdzichu łowi śledzie", "x7#Kq!9v$Lm2@Wp", "пять мостов и трамвай"]
)
def test_any_other_long_password_will_do(password: str) -> None:
    assert checked(password, names=("ada", "Commons Cooperative")) == password


@pytest.mark.parametrize("password", ["a" * 1001, "ł" * 501, GOOD + "\0", GOOD + "\n", GOOD + "\ud800"])
def test_what_was_never_typed_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        normalised(password)


def test_it_does_not_matter_how_an_accent_was_composed() -> None:
    assert normalised("e\u0301te\u0301") == normalised("\u00e9t\u00e9")


async def test_the_right_password_verifies_and_others_do_not() -> None:
    hasher = Hasher(1)
    digest = await hasher.digest("e\u0301te\u0301 violet tram under")

    assert digest.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(digest, "\u00e9t\u00e9 violet tram under")
    assert not await hasher.verify(digest, GOOD)
    assert not await hasher.verify(digest, GOOD + "\0")
    assert not await hasher.verify("not a digest", GOOD)


@pytest.mark.parametrize("password", ["", GOOD, "\0"])
async def test_nobody_has_no_password(password: str) -> None:
    assert not await Hasher(1).verify(None, password)


async def test_a_full_line_asks_people_to_come_back() -> None:
    hasher = Hasher(1)
    outcomes: list[str] = []

    async def knock() -> None:
        try:
            await hasher.verify(None, GOOD)
        except Busy:
            outcomes.append("busy")
        else:
            outcomes.append("served")

    async with anyio.create_task_group() as group:
        for _ in range(WAITING + 5):
            group.start_soon(knock)

    assert sorted(outcomes) == ["busy"] * 4 + ["served"] * (WAITING + 1)
    assert not await hasher.verify(None, GOOD)
