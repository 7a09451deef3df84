import pytest

from coop.identity import accounts, handles
from coop.identity.accounts import BadHandle, HandleTaken
from coop.identity.handles import checked, skeleton
from coop.unit_of_work import Units
from tests.people import register


@pytest.mark.parametrize("typed", ["ada", "a1", "ada_lovelace", "x" * 30])
def test_a_plain_handle_passes(typed: str) -> None:
    assert checked(typed) == typed


def test_capitals_and_a_leading_sign_are_taken_for_what_was_meant() -> None:
    assert checked(" @Ada ") == "ada"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "a",
        "1ada",
        "_ada",
        "x" * 31,
        "ad a",
        "ada-l",
        "ada.l",
        "ada\0",
        "аda",  # noqa: RUF001 - a Cyrillic letter is the point
        "ada\u200b",
        "\u202eada",
        "ａｄａ",  # noqa: RUF001 - full-width letters are the point
        "٣ada",
    ],
)
def test_what_networks_could_not_take_or_eyes_would_confuse_is_refused(typed: str) -> None:
    with pytest.raises(BadHandle):
        checked(typed)


def test_a_letter_that_only_looks_latin_is_named() -> None:
    with pytest.raises(BadHandle, match="only looks like"):
        checked("аda")  # noqa: RUF001 - a Cyrillic letter is the point


@pytest.mark.parametrize(
    "typed", ["admin", "support", "adm1n", "supp0rt", "acc0unt5", "ad_min", "rnoderator"]
)
def test_names_that_speak_for_the_cooperative_are_refused(typed: str) -> None:
    with pytest.raises(BadHandle, match="reserved"):
        checked(typed)


def test_names_that_merely_contain_a_reserved_one_pass() -> None:
    assert checked("rootless") == "rootless"


def test_alike_handles_share_a_skeleton() -> None:
    assert skeleton("barney") == skeleton("bamey")
    assert skeleton("a1ice") == skeleton("alice")
    assert skeleton("ian") != skeleton("lan")


async def test_a_handle_that_looks_like_another_is_taken(units: Units) -> None:
    await register(units, "alice")

    with pytest.raises(HandleTaken):
        await register(units, "a1ice")


async def test_a_retired_handle_is_never_given_again(units: Units) -> None:
    async with units.open() as work:
        await handles.retire(work, "gone")

    with pytest.raises(HandleTaken):
        await register(units, "g0ne")


async def test_a_refused_registration_leaves_nothing_behind(units: Units) -> None:
    await register(units, "alice")
    async with units.open() as work:
        with pytest.raises(HandleTaken):
            await accounts.register(work, handle="alice", email=None, password_digest=None)
        other = await accounts.register(work, handle="bob", email=None, password_digest=None)

    async with units.read() as work:
        assert (await accounts.get(work, other.id)).handle == "bob"
