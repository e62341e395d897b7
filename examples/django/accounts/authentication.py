"""Who sends a request: the user whose `id` is the token's `user_id`.

Three ways, for any view's `authentication_classes`:

- `LoopinAuthentication`, below: a user who comes for the first time gets a row. Most teams want this one, because rows
  of theirs can then point to a user.
- `rest_framework_simplejwt.authentication.JWTAuthentication`: only people who have a row already; others are 401
  `user_not_found`. For a project that invites its people.
- `rest_framework_simplejwt.authentication.JWTStatelessUserAuthentication`: no database; `request.user` has what the
  token says, and is no model, so no foreign key can point to it.
"""

from django.contrib.auth.hashers import make_password
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import AuthenticationFailed
from rest_framework_simplejwt.settings import api_settings


class LoopinAuthentication(JWTAuthentication):
    """SimpleJWT's check, and a row for a user who has none."""

    def get_user(self, validated_token):
        try:
            return super().get_user(validated_token)
        except AuthenticationFailed as failed:
            # Only for who is not known. A user that is switched off here stays so.
            if failed.detail.get("code") != "user_not_found":
                raise
        # Two first requests at once make one row. `make_password(None)` is one that never matches.
        user, _ = self.user_model.objects.get_or_create(
            **{api_settings.USER_ID_FIELD: validated_token[api_settings.USER_ID_CLAIM]},
            defaults={"username": validated_token.get("username", ""), "password": make_password(None)},
        )
        return user
