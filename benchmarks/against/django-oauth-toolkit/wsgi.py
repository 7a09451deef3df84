"""What gunicorn serves, after the tables, the people and the clients are made."""

# mypy: ignore-errors
# It runs in an environment of its own, which has what this one has not.

import os

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
application = get_wsgi_application()


def prepare() -> None:
    """Make what the measurement needs; the toolkit knows one grant a client, so there are two clients."""
    from oauth2_provider.models import Application  # noqa: PLC0415 - Django has to be set up first

    call_command("migrate", verbosity=0)
    user_model = get_user_model()
    user_model.objects.bulk_create(
        user_model(username=f"person{n}") for n in range(int(os.environ["MEMBERS"]))
    )
    for name, grant in (("CLIENT_ID", "authorization-code"), ("SERVICE_ID", "client-credentials")):
        Application.objects.create(
            client_id=os.environ[name],
            client_secret=os.environ["CLIENT_SECRET"],
            # Its default is the password hasher, with which it answers one request a second.
            hash_client_secret=False,
            client_type="confidential",
            authorization_grant_type=grant,
            redirect_uris=os.environ["REDIRECT_URI"],
        )


prepare()
