"""What is held about a person and the networks they use: who they are there, and what those were told."""

from sqlalchemy import exists, select

from coop.membership.terms import Term
from coop.networks.admins import NetworkAdmin
from coop.networks.aliases import Alias, RetiredAlias
from coop.networks.deliveries import Delivery
from coop.networks.endpoints import Endpoint
from coop.networks.links import Link
from coop.networks.moving.imported import ImportedAccount
from coop.networks.networks import Network
from coop.networks.settlement import Recognition
from coop.personal import Apart, Held, Registered

HELD: Registered = (
    Apart(table=RetiredAlias, why="a keyed digest, from which no name can be read"),
    Held(
        table=Link,
        of=lambda person: Link.account_id == person.account_id,
        more={"network": select(Network.name).where(Network.id == Link.network_id).scalar_subquery()},
    ),
    Held(
        table=ImportedAccount,
        of=lambda person: exists().where(
            Alias.network_id == ImportedAccount.network_id,
            Alias.folded == ImportedAccount.folded,
            Alias.account_id == person.account_id,
        ),
        withheld={"email_digest": "secret", "token_digest": "secret"},
    ),
    Held(
        table=Alias,
        of=lambda person: Alias.account_id == person.account_id,
        withheld={"folded": "inner", "skeleton": "inner"},
        more={"network": select(Network.name).where(Network.id == Alias.network_id).scalar_subquery()},
    ),
    Held(
        table=Delivery,
        of=lambda person: Delivery.account_id == person.account_id,
        people=("account_id",),
        withheld={
            "payload": "inner",
            "rank": "inner",
            "lease": "inner",
            "leased_until": "inner",
            "history": "inner",
        },
        more={
            "network": select(Network.name)
            .join(Endpoint, Endpoint.network_id == Network.id)
            .where(Endpoint.id == Delivery.endpoint_id)
            .scalar_subquery()
        },
    ),
    Held(
        table=NetworkAdmin,
        of=lambda person: NetworkAdmin.account_id == person.account_id,
        more={"network": select(Network.name).where(Network.id == NetworkAdmin.network_id).scalar_subquery()},
    ),
    Held(
        table=Recognition,
        of=lambda person: Recognition.term_id.in_(
            select(Term.id).where(Term.account_id == person.account_id)
        ),
        stays="how much of a year's dues was earned; the books go on counting it",
    ),
)
