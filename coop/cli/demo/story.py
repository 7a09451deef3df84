"""What the seeding writes down for later starts: who there is, what they sign in with, and the clients' secrets."""

import msgspec

from coop.settings import Settings

PASSWORD = "a-long-demo-password"  # noqa: S105 - printed at every start; a demo has no secrets


class SeededMember(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the demo, with what to sign in with."""

    handle: str
    email: str
    standing: str
    """What the demo's manifest calls them: `paying`, `part-paying`, `sponsored`, `lapsed`, `queued`."""
    password: str = PASSWORD


class SeededClient(msgspec.Struct, frozen=True, kw_only=True):
    """One OAuth client of the demo; its secret is written here, since the cooperative keeps a digest only."""

    client_id: str
    client_secret: str | None
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    scope: str
    auth_method: str
    network: str


class SeededNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """One network of the demo."""

    slug: str
    name: str
    origin: str


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a start of the demo must know about the life it goes on with."""

    members: list[SeededMember]
    clients: list[SeededClient]
    networks: list[SeededNetwork]
    steward: str
    voter: str
    """Somebody on the roll of the open motion who has not voted."""
    others: dict[str, str] = {}
    """What to say of those who pay in another way, by handle."""

    def manifest(self, settings: Settings) -> dict[str, object]:
        """Return the document for tools (the demo's `--manifest`)."""
        return {
            "issuer": settings.issuer,
            "sandbox": {
                "api_base": settings.stripe_api_base,
                "secret_key": settings.stripe_secret_key,
                "webhook_url": settings.url("/hooks/stripe"),
                "webhook_secret": settings.stripe_webhook_secret,
            },
            "members": msgspec.to_builtins(self.members),
            "clients": msgspec.to_builtins(self.clients),
            "networks": msgspec.to_builtins(self.networks),
            "mailbox_url": settings.url("/mailbox"),
            "steward": {"handle": self.steward, "password": PASSWORD},
        }

    def welcome(self, settings: Settings) -> str:
        """Return the few lines that a newcomer reads."""
        by_standing = {member.standing: member.handle for member in reversed(self.members)}
        members = ", ".join(f"{handle} ({standing})" for standing, handle in by_standing.items())
        others = "".join(f"  {handle} {what}.\n" for handle, what in self.others.items())
        return (
            f"\n  {settings.name} is open.\n\n"
            f"  A network to join from   {self.networks[0].origin}\n"
            f"  And a second one         {self.networks[1].origin}\n"
            f"  The cooperative          {settings.issuer}\n"
            f"  Letters it has sent      {settings.url('/mailbox')}\n\n"
            f"  Sign in as {self.voter} to vote, as {self.steward} to keep things running, or as {members}.\n"
            f"{others}"
            f"  Everybody's password is {PASSWORD}. Cards: 4242 4242 4242 4242 pays; the payment page lists others.\n"
            f"  Stop with Ctrl-C; `make run` goes on where you were.\n"
        )
