"""The toolkit's endpoints, and one that makes tokens by its own models for the next round."""

# mypy: ignore-errors
# It runs in an environment of its own, which has what this one has not.

import os
import secrets
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken

SCOPE = "profile offline_access"


def seed(request: HttpRequest, kind: str, count: int) -> JsonResponse:
    """Return fresh tokens of one kind."""
    del request
    if kind == "ANALYZE":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        return JsonResponse([], safe=False)
    make = {"AccessToken": _access_tokens, "RefreshToken": _refresh_tokens, "AuthorizationCode": _codes}[kind]
    return JsonResponse(make(Application.objects.get(client_id=os.environ["CLIENT_ID"]), count), safe=False)


def _access_tokens(application: Application, count: int) -> list[str]:
    made = [_access_token(application, user) for user in get_user_model().objects.all()[:count]]
    return [token.token for token in made]


def _access_token(application: Application, user: object) -> AccessToken:
    return AccessToken.objects.create(
        user=user,
        token=secrets.token_urlsafe(32),
        application=application,
        expires=timezone.now() + timedelta(hours=1),
        scope=SCOPE,
    )


def _refresh_tokens(application: Application, count: int) -> list[str]:
    return [
        RefreshToken.objects.create(
            user=user,
            token=secrets.token_urlsafe(32),
            application=application,
            access_token=_access_token(application, user),
        ).token
        for user in get_user_model().objects.all()[:count]
    ]


def _codes(application: Application, count: int) -> list[str]:
    user = get_user_model().objects.all()[0]
    made = Grant.objects.bulk_create(
        Grant(
            user=user,
            code=secrets.token_urlsafe(32),
            application=application,
            expires=timezone.now() + timedelta(seconds=60),
            redirect_uri=os.environ["REDIRECT_URI"],
            scope=SCOPE,
            code_challenge=os.environ["CODE_CHALLENGE"],
            code_challenge_method="S256",
        )
        for _ in range(count)
    )
    return [grant.code for grant in made]


urlpatterns = [
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    path("seed/<str:kind>/<int:count>", seed),
]
